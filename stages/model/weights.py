"""Weights from a local folder, all or none: what is half loaded is refused with its keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from schemas.documents import load_object
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
KEYS_SHOWN = 5


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder.

    Args:
        folder: a local folder.

    Raises:
        MissingInput: no such folder or file.
        CorruptInput: the file is no JSON object.
    """
    if not folder.is_dir():
        raise MissingInput(
            "no such folder",
            where=folder,
            hint=f"name a local folder that holds {CONFIG_NAME} and {WEIGHTS_NAME}",
        )
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise MissingInput(f"the folder has no {CONFIG_NAME}", where=folder)
    return load_object(path)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of model.safetensors in a folder, on the CPU.

    Raises:
        MissingInput: no such file.
        CorruptInput: the file is truncated or no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise MissingInput(f"the folder has no {WEIGHTS_NAME}", where=folder)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptInput(
            f"not a whole safetensors file ({error})", where=path, hint="copy it again"
        ) from error


def strict_load(module: nn.Module, weights: Mapping[str, Tensor], where: Path) -> None:
    """Load every tensor or none.

    Raises:
        SchemaMismatch: keys are missing or unexpected, or sizes differ; says which.
    """
    own = module.state_dict()
    problems = [
        _listing("missing", sorted(own.keys() - weights.keys())),
        _listing("unexpected", sorted(weights.keys() - own.keys())),
        _listing(
            "of another size",
            [
                f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
                for key in sorted(own.keys() & weights.keys())
                if own[key].shape != weights[key].shape
            ],
        ),
    ]
    found = [problem for problem in problems if problem]
    if found:
        raise SchemaMismatch(
            "the weights do not fit the model: " + "; ".join(found),
            where=where,
            hint="use the config.json that was written with them",
        )
    module.load_state_dict(dict(weights))


def _listing(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f", and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""
    return f"{len(keys)} {what} ({', '.join(keys[:KEYS_SHOWN])}{more})"
