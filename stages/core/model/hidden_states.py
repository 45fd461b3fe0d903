"""Outputs of an image transformer in files, one a frame: what several models can begin from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from schemas.errors import CorruptInput
from schemas.files import read_regular, require_regular
from schemas.layouts import features_path
from stages.core.index.index import Video
from stages.core.model.backbones.features import FrameFeatures

_NAME = "last_hidden_state"
_TYPES = (torch.float32, torch.bfloat16)
_HEADER_BYTES = 4096
"""More than the header of a file with one tensor takes."""
_HINT = "rerun tgl ground --keep-features, or remove this file: the frame is encoded again"


class TwoStepEncoder(Protocol):
    """A backbone whose image encoder is a transformer and a neck, such as SAM 3's."""

    @property
    def hidden_shape(self) -> tuple[int, int]:
        """(h * h, D): shape of the transformer's output for one frame."""

    def hidden_states(self, frames: Tensor) -> Tensor:
        """The transformer's output (N, h * h, D) for uint8 frames (N, 3, S, S)."""

    def encode_from(self, hidden: Tensor) -> FrameFeatures:
        """Features from the transformer's output."""


@dataclass(frozen=True)
class HiddenStates:
    """The transformer's output for some frames of a video, as files.

    Attributes:
        files: by frame number.
        encoder: that runs for the other frames.
    """

    files: Mapping[int, Path]
    encoder: TwoStepEncoder

    @classmethod
    def of(cls, folder: Path, video: Video, encoder: TwoStepEncoder) -> HiddenStates:
        """The outputs that an artifact has of the frames of a video, or of a part of it.

        Args:
            folder: the artifact, see ``features_path``.
        """
        paths = (features_path(folder, video.video_id, name) for name in video.frame_names)
        return cls({n: path for n, path in enumerate(paths) if path.is_file()}, encoder)

    def read(self, frame: int) -> Tensor:
        """Read the output (h * h, D) for a frame that has a file.

        Raises:
            MissingInput: the file was removed meanwhile.
            CorruptInput: see ``read_hidden``.
        """
        return read_hidden(self.files[frame], self.encoder.hidden_shape)


def write_hidden(path: Path, hidden: Tensor) -> None:
    """Write the transformer's output (h * h, D) for a frame, in its own type.

    The folder must exist. Readers see the whole file or none.
    """
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(save({_NAME: hidden.contiguous().cpu()}))
    temporary.replace(path)


def read_hidden(path: Path, shape: tuple[int, int]) -> Tensor:
    """Read what :func:`write_hidden` wrote.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is damaged, or of another shape than a frame's output has.
    """
    if (
        require_regular(path).stat().st_size
        > shape[0] * shape[1] * torch.float32.itemsize + _HEADER_BYTES
    ):
        raise CorruptInput("is larger than the features of a frame", where=path, hint=_HINT)
    try:
        found = load(read_regular(path)).get(_NAME)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptInput("is damaged", where=path, hint=_HINT) from error
    if found is None or tuple(found.shape) != shape or found.dtype not in _TYPES:
        raise CorruptInput(
            f"does not hold the features of a frame, {shape[0]} x {shape[1]} numbers",
            where=path,
            hint=_HINT,
        )
    return found
