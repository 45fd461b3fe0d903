"""Parameters of a model by part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from stages.core.model.tgl import TglModel

_OF_SAM = {
    "memory attention": "memory_attention",
    "memory encoder": "memory_encoder",
    "mask decoder": "mask_decoder",
}
COPY = "copy to track with"
"""The weights before training, which ``OriginalWeights`` keeps."""
REST = "prompts and pointers"


@dataclass(frozen=True)
class Part:
    """One part of a model.

    Attributes:
        parameters: of the part.
        trained: of these, those with a gradient; the track head is trained after the rest.
        bytes: of its parameters and tables.
    """

    name: str
    parameters: int
    trained: int
    bytes: int


def parts_of(model: TglModel) -> list[Part]:
    """The parts of a model; every parameter is in one of them."""
    sam = model.backbone.sam
    named: list[tuple[str, nn.Module | None]] = [("image encoder", model.backbone.image_encoder)]
    named += [(name, getattr(sam, attribute)) for name, attribute in _OF_SAM.items()]
    named += [(REST, model.backbone), ("adapter", model.adapter)]
    named += [("track head", model.track_head), (COPY, model.original)]
    taken: set[int] = set()
    parts = []
    for name, module in named:
        if module is not None:
            parts.append(_part(name, module, taken, trained=name == "track head"))
    return parts


def _part(name: str, module: nn.Module, taken: set[int], *, trained: bool) -> Part:
    """Count the parameters and tables of a module that no earlier part has."""
    parameters = [p for p in module.parameters() if id(p) not in taken]
    tables = [buffer for buffer in module.buffers() if id(buffer) not in taken]
    taken.update(map(id, [*parameters, *tables]))
    return Part(
        name,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if trained or p.requires_grad),
        sum(tensor.nbytes for tensor in [*parameters, *tables]),
    )
