"""Loading and running models of transformers; their many failures become one line each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from schemas.documents import load_object
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.files import require_regular
from stages.core.engine.failures import is_out_of_memory
from stages.core.model.loading.hub import model_folder
from stages.core.model.loading.names import MODEL_CONFIG
from stages.core.model.loading.weights import KEYS_SHOWN, limited_parts, tensor_shapes

_WEIGHTS = "*.safetensors"
_PICKLES = "pytorch_model*.bin"
_TIMES_STORED, _NUMBERS_BESIDE = 4, 2**26
"""Numbers that a model may have: this many times those of its file, plus this many."""
_LABELS, _MOST_LABELS = "num_labels", 2**16
# Options that transformers' messages name if a model cannot be loaded without them.
_PACKAGE = re.compile(
    r"(?:requires the |No module named '|Package `|requires `|optional dependencies: )([\w-]+)"
)
_INSTALLED = {"timm": "'tgl[edgetam]'", "pyav": "av"}
"""Names for pip, where they are not the package's own."""
_SAM3 = "Sam3"
_OWN_PACKAGES = ("torch", "transformers", "tokenizers", "pil")
_ATTENTION = "attn_implementation"
_OWN_ATTENTION = ("eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3")
_OWN_CODE = "trust_remote_code"
_OTHER_SIZES = "ignore_mismatched_sizes"


def load_pretrained(kind: Any, name: str, *, option: str, **settings: Any) -> Any:
    """Call `kind.from_pretrained(name)` with a folder or a hub id; a model's own code is never run.

    Args:
        kind: AutoConfig, AutoTokenizer, ...; for weights see :func:`load_pretrained_model`.
        option: the option that named the model, for messages.

    Raises:
        MissingInput: no such folder, or a hub id that is not cached and cannot be reached; or a
            package that the model needs is not installed.
        CorruptInput: transformers cannot load it.
        SchemaMismatch: the model needs code that comes with it.
    """
    folder = model_folder(name, option=option)
    _require_files(folder)
    document = load_object(folder / MODEL_CONFIG)
    _require_few_labels(document, folder / MODEL_CONFIG)
    refuse_kernels(document, folder / MODEL_CONFIG)
    with loading_errors(name, option):
        return kind.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **settings
        )


@contextmanager
def loading_errors(name: str, option: str) -> Iterator[None]:
    """Keep transformers quiet in this context, and turn its failures into one line each.

    Args:
        name: the model's folder or hub id.
        option: the option that named it.

    Raises:
        TglError: as :func:`load_pretrained`.
    """
    with _silent_transformers(), model_errors(name, "transformers cannot load it"):
        try:
            yield
        except Exception as error:
            refusal = _refusal(error, name, option)
            if refusal is None:
                raise
            raise refusal from error


def _refusal(error: Exception, name: str, option: str) -> TglError | None:
    """The error for a failure that transformers explains; None for any other."""
    if _OWN_CODE in str(error):
        return SchemaMismatch(
            "needs code of its own (auto_map in its configuration), which is never run",
            where=name,
            hint=f"name a model with {option} that transformers knows by itself",
        )
    if _OTHER_SIZES in str(error):
        return SchemaMismatch(
            "its weights have other sizes than those in its configuration",
            where=name,
            hint="copy or download the model again",
        )
    return _missing_package(error, name)


def _missing_package(error: Exception, name: str) -> TglError | None:
    """The error for packages that transformers needs and does not find, as its message says."""
    found = dict.fromkeys(package.lower() for package in _PACKAGE.findall(str(error)))
    needed = [package for package in found if package not in _OWN_PACKAGES]
    if not needed or not isinstance(error, ImportError | ValueError):
        return None
    names = [_INSTALLED.get(package, package) for package in needed]
    if _SAM3 in str(error):
        names = ["'tgl[sam3]'"]
    return MissingInput(
        f"needs the package {' and '.join(needed)}",
        where=name,
        hint=f"pip install {' '.join(names)}",
    )


def load_pretrained_model(kind: Any, name: str, *, option: str, **settings: Any) -> Any:
    """Call :func:`load_pretrained` for a model: all of its weights, and from safetensors only.

    Raises:
        CorruptInput: also where there are no weights in the format safetensors.
        SchemaMismatch: also where some weights are missing, or their sizes do not fit the model.
    """
    folder = model_folder(name, option=option)
    _require_fitting(kind, folder, option=option, **settings)
    model, report = load_pretrained(
        kind, name, option=option, use_safetensors=True, output_loading_info=True, **settings
    )
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers would replace them by random numbers and go on.
        raise SchemaMismatch(
            f"lacks {len(missing)} of the model's weights ({', '.join(missing[:KEYS_SHOWN])})",
            where=name,
            hint="copy or download the model again",
        )
    return model


def _require_fitting(kind: Any, folder: Path, *, option: str, **settings: Any) -> None:
    """Lay the model out without memory, and compare it with the size of its weights.

    Raises:
        SchemaMismatch: it asks for far more; transformers would allocate the memory first.
    """
    shapes = _stored_shapes(folder)
    config = load_pretrained(AutoConfig, str(folder), option=option)
    make = getattr(kind, "from_config", kind)
    with model_errors(folder, "transformers cannot build a model from it"):
        with torch.device("meta"), limited_parts(len(shapes), folder):
            outline = make(config, **settings)
        asked = sum(part.numel() for part in (*outline.parameters(), *outline.buffers()))
    stored = sum(map(math.prod, shapes))
    if asked > _TIMES_STORED * stored + _NUMBERS_BESIDE:
        raise SchemaMismatch(
            f"asks for {asked} numbers, its weights have other sizes ({stored} numbers)",
            where=folder / MODEL_CONFIG,
            hint="copy or download the model again",
        )


def _stored_shapes(folder: Path) -> list[tuple[int, ...]]:
    """Shapes of all tensors in a folder's safetensors files.

    Raises:
        CorruptInput: there are none, or one is not a safetensors file.
    """
    _require_files(folder)
    files = sorted(folder.glob(_WEIGHTS))
    if not files:
        pickles = sorted(folder.glob(_PICKLES))
        what = (
            f", only {pickles[0].name}, which may contain code and is not read" if pickles else ""
        )
        raise CorruptInput(
            f"has no weights in the format safetensors{what}",
            where=folder,
            hint="save it again with transformers: AutoModel.from_pretrained(FOLDER)"
            ".save_pretrained(NEW_FOLDER), if you trust where it comes from"
            if pickles
            else "copy or download the model again",
        )
    return [shape for file in files for shape in tensor_shapes(file).values()]


def _require_files(folder: Path) -> None:
    """Refuse a folder in which something other than a file has a file's name."""
    if not folder.is_dir():
        return  # a hub id may look like a path
    for path in sorted(folder.iterdir()):
        if path.suffix and not path.name.startswith("."):
            require_regular(path)


def _require_few_labels(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a huge number of labels: transformers makes a name for each."""
    labels = config.get(_LABELS)
    if isinstance(labels, int) and labels > _MOST_LABELS:
        raise CorruptInput(f"asks for more than {_MOST_LABELS} of {_LABELS}", where=where)
    for inner in config.values():
        if isinstance(inner, Mapping):
            _require_few_labels(inner, where)


def refuse_kernels(value: Any, where: Path) -> None:
    """Check that a configuration names no attention kernel on the hub, at any depth.

    transformers would download and run it, if the package kernels is installed.

    Args:
        value: the content of a config.json.
        where: the file, for the message.

    Raises:
        SchemaMismatch: it names one.
    """
    if isinstance(value, list):
        for inner in value:
            refuse_kernels(inner, where)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if str(key).lstrip("_").startswith(_ATTENTION):
            named = inner.values() if isinstance(inner, Mapping) else (inner,)
            if any(name is not None and name not in _OWN_ATTENTION for name in named):
                raise SchemaMismatch(
                    f"its {key} names code from elsewhere, which is never run",
                    where=where,
                    hint=f"remove {key} from the file",
                )
        refuse_kernels(inner, where)


@contextmanager
def _silent_transformers() -> Iterator[None]:
    """Keep bars and tables of transformers off the terminal; failures are raised."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def model_errors(where: object, message: str) -> Iterator[None]:
    """Turn any exception in this context into an error about a model's files.

    If a configuration, a tokenizer or weights do not fit each other, transformers and its
    dependencies raise nearly every kind of exception.

    Args:
        where: the model's folder or id.
        message: the failure.

    Raises:
        CorruptInput: for any exception except a lack of memory.
        TglError: as raised in this context.
    """
    try:
        yield
    except TglError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CorruptInput(f"{message} ({_reason(error)})", where=where) from error


def _reason(error: Exception) -> str:
    """The first line of an exception's message, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
