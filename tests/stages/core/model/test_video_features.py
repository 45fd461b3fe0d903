"""Features of a video: how often frames are decoded and encoded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stages.core.index.index import Video
from stages.core.model import budgets, video_features
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.hidden_states import HiddenStates
from stages.core.model.video_features import Encode, VideoFeatures

FRAMES, CHUNK, SIZE = 20, 4, 16
ONE_CHUNK = 1.0
"""A budget that keeps nothing but the fewest chunks."""


def encode(pixels: Tensor) -> FrameFeatures:
    """Features that hold the first pixel of their frame."""
    value = pixels[:, :1, :1, :1].float()
    return FrameFeatures(
        fine=value.expand(-1, 1, 4, 4),
        middle=value.expand(-1, 2, 2, 2),
        coarse=value.expand(-1, 8, 1, 1),
        position=torch.zeros(1, 8, 1, 1),
    )


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames that were decoded; the pixels of a frame are its number."""
    frames: list[int] = []

    def read(video: Video, frame: int, size: int) -> Tensor:
        frames.append(frame)
        return torch.full((3, size, size), frame, dtype=torch.uint8)

    monkeypatch.setattr(video_features, "read_resized", read)
    return frames


@pytest.fixture
def decoders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class TwoSteps:
    """An encoder in two steps whose hidden state is the first pixel."""

    hidden_shape = (1, 1)

    def __init__(self) -> None:
        self.frames = 0

    def hidden_states(self, frames: Tensor) -> Tensor:
        self.frames += len(frames)
        return frames[:, :1, :1, 0].float()

    def encode_from(self, hidden: Tensor) -> FrameFeatures:
        return encode(hidden.unsqueeze(1))


def make(
    decoders: ThreadPoolExecutor,
    budget: float,
    hidden: HiddenStates | None = None,
    *,
    size: int = SIZE,
    encoder: Encode = encode,
) -> VideoFeatures:
    names = tuple(f"{frame:05d}" for frame in range(FRAMES))
    return VideoFeatures(
        Video("v", FRAMES, SIZE, SIZE, None, names, ".jpg", Path()),
        encoder,
        size=size,
        device=torch.device("cpu"),
        budget=budget,
        chunk=CHUNK,
        decoders=decoders,
        hidden=hidden,
    )


@pytest.mark.parametrize("order", [range(FRAMES), range(FRAMES - 1, -1, -1)])
def test_frames_in_either_direction_are_decoded_once(
    decoded: list[int], decoders: ThreadPoolExecutor, order: range
) -> None:
    """The chunk that is decoded in advance is the right one, except the very first guess."""
    features = make(decoders, ONE_CHUNK)
    firsts = [float(features.of([frame]).coarse[0, 0, 0, 0]) for frame in order]
    assert firsts == sorted(firsts, reverse=order.step < 0)
    assert features.encoded == FRAMES
    features.close()
    assert sorted(decoded) == list(range(FRAMES))


def test_back_and_forth_encodes_what_the_budget_holds_once(
    decoded: list[int], decoders: ThreadPoolExecutor
) -> None:
    three = 3 * CHUNK * encode(torch.zeros(1, 3, SIZE, SIZE)).nbytes
    features = make(decoders, three)
    for frame in [*range(FRAMES), *range(FRAMES - 1, -1, -1)]:
        features.of([frame])
    assert features.encoded == 2 * FRAMES - 3 * CHUNK


def test_everything_that_fits_is_encoded_once(
    decoded: list[int], decoders: ThreadPoolExecutor
) -> None:
    features = make(decoders, 1e9)
    for frame in [*range(FRAMES), *range(FRAMES - 1, -1, -1)]:
        features.of([frame])
    assert features.resident
    assert features.encoded == FRAMES


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_frames_with_hidden_states_are_neither_decoded_nor_encoded(
    decoded: list[int], decoders: ThreadPoolExecutor, tmp_path: Path, kind: torch.dtype
) -> None:
    known = [*range(CHUNK), 2 * CHUNK, 2 * CHUNK + 1]  # a whole chunk, and half of another
    for frame in known:
        state = torch.full((1, 1), float(frame), dtype=kind)
        save_file({"last_hidden_state": state}, tmp_path / f"{frame}.safetensors")
    encoder = TwoSteps()
    files = {frame: tmp_path / f"{frame}.safetensors" for frame in known}
    features = make(decoders, 1e9, HiddenStates(files, encoder))
    found = features.of(list(range(FRAMES))).coarse
    assert found[:, 0, 0, 0].tolist() == list(range(FRAMES))
    assert found.dtype == torch.float32
    rest = [frame for frame in range(FRAMES) if frame not in known]
    assert sorted(decoded) == rest
    assert encoder.frames == CHUNK - 2  # a chunk without any known frame is encoded as ever
    assert (features.encoded, features.finished) == (len(rest), len(known))


@pytest.mark.parametrize(("size", "sizes"), [(SIZE, [4, 4]), (1024, [1] * 8), (640, [2] * 4)])
def test_a_cpu_encodes_large_frames_in_small_batches(
    decoded: list[int], decoders: ThreadPoolExecutor, size: int, sizes: list[int]
) -> None:
    batches: list[int] = []

    def counted(frames: Tensor) -> FrameFeatures:
        batches.append(len(frames))
        return encode(frames)

    features = make(decoders, 1e9, size=size, encoder=counted)
    features.of(range(2 * CHUNK))
    assert batches == sizes
    assert budgets.encoded_frames(size, torch.device("meta")) is None
