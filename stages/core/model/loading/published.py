"""A published model's folder: its weights in one file or in shards, under transformers' names.

transformers reads them, as it knows the names that each family was published under; what it then
reports as missing, unexpected or of another size is an error here, never replaced by random
numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from schemas.documents import load_object
from schemas.errors import CorruptInput
from stages.core.model.loading.names import SHARD_MAP, SHARDS
from stages.core.model.loading.pretrained import load_pretrained
from stages.core.model.loading.weights import (
    WEIGHTS_NAME,
    limited_parts,
    own_file,
    refuse_problems,
    require_few_tables,
    require_same,
    shapes_of,
    tensor_shapes,
)

BACKBONE_OPTION = "--backbone"


def weight_files(folder: Path) -> list[Path]:
    """Safetensors files of a model: model.safetensors, else the shards that its index lists.

    Args:
        folder: a local folder, or a snapshot in the hub's cache.

    Raises:
        MissingInput: it has neither, or a shard is missing.
        CorruptInput: the index is damaged or names files outside the folder, or a file is not the
            one that the folder's receipt lists.
    """
    if (folder / WEIGHTS_NAME).exists() or not (folder / SHARDS).exists():
        return [own_file(folder, WEIGHTS_NAME)]
    index = own_file(folder, SHARDS)
    shards = load_object(index).get(SHARD_MAP)
    if not isinstance(shards, Mapping) or not shards:
        raise CorruptInput(f"has no {SHARD_MAP!r} of tensors to files", where=index)
    names = set(shards.values())
    odd = [name for name in names if not isinstance(name, str) or not _is_shard(name)]
    if odd:
        raise CorruptInput(
            f"names {odd[0]!r}, which is no safetensors file in its own folder", where=index
        )
    return [own_file(folder, name) for name in sorted(names)]


def _is_shard(name: str) -> bool:
    return name.endswith(".safetensors") and Path(name).name == name and "\\" not in name


def load_published(
    kind: Any,
    config: Any,
    folder: Path,
    *,
    outline: Callable[[], nn.Module],
    renamed: Mapping[str, str],
    copies: Mapping[str, str],
) -> Any:
    """Load the weights of a folder into a model of transformers, whole or not at all, in float32.

    Args:
        kind: the model's class in transformers.
        config: its configuration, as made from the folder's config.json.
        folder: with model.safetensors, or its shards and their index.
        outline: makes the model; called without memory.
        renamed: names of tensors in such folders, beside those that transformers changes itself:
            pattern to replacement, as ``key_mapping`` of ``from_pretrained``.
        copies: tensors that may be missing, each with the tensor whose values it has.

    Raises:
        MissingInput: no weights, or a shard is missing.
        CorruptInput: a file is damaged, or not the one that the folder's receipt lists.
        SchemaMismatch: keys are missing or unexpected, or sizes differ; they are listed. Or the
            configuration asks for many times the weights' memory.
    """
    _require_stored(folder, outline, renamed, copies)
    model, report = load_pretrained(
        kind,
        str(folder),
        option=BACKBONE_OPTION,
        config=config,
        use_safetensors=True,
        output_loading_info=True,
        key_mapping=dict(renamed),
        dtype=torch.float32,  # a folder saved in half precision is computed with as any other
        ignore_mismatched_sizes=True,  # reported below with their names, where it would only raise
    )
    missing = set(report["missing_keys"])
    refuse_problems(
        missing=missing - copies.keys(),
        unexpected=report["unexpected_keys"],
        resized={key: (tuple(found), tuple(own)) for key, found, own in report["mismatched_keys"]},
        where=folder,
    )
    tensors = model.state_dict()
    for copy in missing & copies.keys():
        tensors[copy].copy_(tensors[copies[copy]])
    return model


def _require_stored(
    folder: Path,
    outline: Callable[[], nn.Module],
    renamed: Mapping[str, str],
    copies: Mapping[str, str],
) -> None:
    """Refuse a configuration that asks for more than the folder holds, before memory is taken.

    transformers allocates memory for tensors that it does not find.
    """
    stored: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        stored |= tensor_shapes(file)
    with torch.device("meta"), limited_parts(len(stored), folder):
        model = outline()
    require_few_tables(model, folder)
    own = shapes_of(model)
    asked = {name: shape for name, shape in own.items() if name not in copies}
    if _numbers(asked.values()) > _numbers(stored.values()):
        found = {_renamed(name, renamed): shape for name, shape in stored.items()}
        given = {name: own[name] for name in copies if name in own}
        require_same(own, given | found, folder)


def _numbers(shapes: Iterable[Sequence[int]]) -> int:
    return sum(map(math.prod, shapes))


def _renamed(name: str, renamed: Mapping[str, str]) -> str:
    for pattern, replacement in renamed.items():
        name = re.sub(pattern, replacement, name)
    return name
