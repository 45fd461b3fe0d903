"""Weights from a local folder, loaded whole or refused with the names of missing keys.

Nothing here trusts the folder: its files are compared with its receipt if it has one, and a model
is laid out without memory and compared with the file's header before it is built.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from schemas.documents import load_object, mapping
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from schemas.files import require_regular
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import read_receipt
from stages.core.engine.digest import known_sha256

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
KEYS_SHOWN = 5
PARTS_PER_TENSOR = 8
"""Modules and parameters that a model may have per tensor of its file; SAM 2 has two."""
PARTS_BESIDE = 1000
BUFFERS_BESIDE = 2**28
"""Bytes of computed tables that are not in the file; SAM 2 at 1024 px has 66 thousand."""

Shapes = Mapping[str, tuple[int, ...]]
M = TypeVar("M", bound=nn.Module)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder.

    Args:
        folder: a local folder.

    Raises:
        MissingInput: no such folder or file.
        CorruptInput: the file is not a JSON object, or not the one that the folder's receipt lists.
    """
    if not folder.is_dir():
        raise MissingInput(
            "no such folder",
            where=folder,
            hint=f"name a local folder with {CONFIG_NAME} and {WEIGHTS_NAME}",
        )
    return load_object(own_file(folder, CONFIG_NAME))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of model.safetensors in a folder, on the CPU.

    Raises:
        MissingInput: no such file.
        CorruptInput: the file is truncated, not a safetensors file, or not the one that the
            folder's receipt lists.
    """
    from safetensors.torch import load_file

    path = own_file(folder, WEIGHTS_NAME)
    with _whole_safetensors(path):
        return load_file(path)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in a safetensors file, from its header alone.

    Raises:
        CorruptInput: the file is truncated or not a safetensors file.
    """
    from safetensors import safe_open

    with _whole_safetensors(path), safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


@contextmanager
def _whole_safetensors(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptInput(
            f"not a whole safetensors file ({error})", where=path, hint="copy it again"
        ) from error


def load_fitting(build: Callable[[], M], folder: Path) -> M:
    """Build a model and load the folder's weights; a model that does not fit them takes no memory.

    Args:
        build: makes the model with random weights; called twice, first without memory.
        folder: with model.safetensors.

    Raises:
        MissingInput, CorruptInput: as ``read_weights``.
        SchemaMismatch: the model has other tensors than the file, or many times its size.
    """
    shapes = tensor_shapes(own_file(folder, WEIGHTS_NAME))
    with torch.device("meta"), limited_parts(len(shapes), folder):
        outline = build()
    require_same(shapes_of(outline), shapes, folder)
    require_few_tables(outline, folder)
    model = build()
    strict_load(model, read_weights(folder), folder)
    return model


def require_few_tables(outline: nn.Module, folder: Path) -> None:
    """Check the size of the tables that a model computes instead of storing them.

    Args:
        outline: the model without memory.
        folder: the model's, for the message.

    Raises:
        SchemaMismatch: they take far more memory than those of any known model.
    """
    kept = outline.state_dict().keys()
    computed = sum(b.nbytes for name, b in outline.named_buffers() if name not in kept)
    if computed > BUFFERS_BESIDE:
        raise SchemaMismatch(
            f"asks for {computed} bytes of tables beside the weights",
            where=folder / CONFIG_NAME,
            hint=f"use the {CONFIG_NAME} that was written with the weights",
        )


@contextmanager
def limited_parts(tensors: int, where: Path) -> Iterator[None]:
    """Stop building a model in this context that has far more parts than its file has tensors.

    Args:
        tensors: in the file.
        where: the model's folder, for the message.

    Raises:
        SchemaMismatch: there are too many modules and parameters.
    """
    left = PARTS_BESIDE + PARTS_PER_TENSOR * tensors

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise SchemaMismatch(
                f"asks for many more parts than the {tensors} tensors of its weights",
                where=where / CONFIG_NAME,
                hint=f"use the {CONFIG_NAME} that was written with the weights",
            )

    hooks = (
        register_module_module_registration_hook(count),
        register_module_parameter_registration_hook(count),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def own_file(folder: Path, name: str) -> Path:
    """Return the path of one of the folder's own files, checked against its receipt.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a file, or its content is not the one that the receipt lists.
    """
    path = folder / name
    if not os.path.lexists(path):
        raise MissingInput(f"the folder has no {name}", where=folder)
    require_regular(path)
    listing = folder / RECEIPT_FILE
    if not (listing.exists() or listing.is_symlink()):
        return path  # not made by tgl: nothing to compare it with
    require_regular(listing)
    receipt = read_receipt(folder)
    listed = None if receipt is None else mapping(receipt.outputs.tables, listing)
    if listed and name in listed and listed[name] != known_sha256(path):
        raise CorruptInput(
            f"has changed since it was made (its SHA-256 is not the one in {RECEIPT_FILE})",
            where=path,
            hint=f"copy or train it again; if the change is meant, remove {RECEIPT_FILE} beside it",
        )
    return path


def strict_load(module: nn.Module, weights: Mapping[str, Tensor], where: Path) -> None:
    """Load every tensor or none.

    Raises:
        SchemaMismatch: keys are missing or unexpected, or sizes differ; they are listed.
    """
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    require_same(shapes_of(module), found, where)
    module.load_state_dict(dict(weights))


def shapes_of(module: nn.Module) -> Shapes:
    """Shapes of a module's parameters and stored tables, by name."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def require_same(own: Shapes, found: Shapes, where: Path) -> None:
    """Compare a model's tensors with those of its files.

    Raises:
        SchemaMismatch: keys are missing or unexpected, or sizes differ; they are listed.
    """
    refuse_problems(
        missing=own.keys() - found.keys(),
        unexpected=found.keys() - own.keys(),
        resized={
            key: (found[key], own[key])
            for key in own.keys() & found.keys()
            if own[key] != found[key]
        },
        where=where,
    )


def refuse_problems(
    *, missing: Iterable[str], unexpected: Iterable[str], resized: Mapping[str, Any], where: Path
) -> None:
    """Refuse weights for any of the problems given.

    Args:
        missing: tensors of the model that the files lack.
        unexpected: tensors of the files that the model lacks.
        resized: shapes (in the files, in the model) of tensors of another size.
        where: the model's folder.

    Raises:
        SchemaMismatch: there are problems; they are listed.
    """
    sizes = [f"{key} {found} for {own}" for key, (found, own) in sorted(resized.items())]
    listings = [
        _listing("missing", sorted(missing)),
        _listing("unexpected", sorted(unexpected)),
        _listing("of another size", sizes),
    ]
    problems = [listing for listing in listings if listing]
    if problems:
        raise SchemaMismatch(
            "the weights do not fit the model: " + "; ".join(problems),
            where=where,
            hint="use the config.json that was written with them",
        )


def _listing(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f", and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""
    return f"{len(keys)} {what} ({', '.join(keys[:KEYS_SHOWN])}{more})"
