"""Masks of tracks become the masks of sentences, whatever the order in which they arrive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from schemas.layouts import mask_path
from stages.core.index.index import Expression, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.model import budgets
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path import mask_assembler
from stages.core.model.dual_path.mask_assembler import MaskAssembler
from stages.core.model.dual_path.tracks import Item, plan_tracks
from stages.core.model.masks import enlarge_masks
from stages.core.model.offload.host_copies import HostCopy

FRAMES, HEIGHT, WIDTH, SIDE = 5, 19, 27, 6
GUIDED = np.array([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0]], bool)
"""The first sentence has two moments, so two tracks; the second one has one."""


def world(root: Path) -> tuple[Video, list[Expression]]:
    names = tuple(f"{frame:05d}" for frame in range(FRAMES))
    video = Video("v", FRAMES, HEIGHT, WIDTH, None, names, ".jpg", root)
    return video, [Expression("v", str(row), "words", (), ()) for row in range(len(GUIDED))]


def decoded(logits: torch.Tensor, scores: torch.Tensor) -> Decoded:
    count = len(logits)
    one = torch.ones(count, 1)
    return Decoded(logits.unsqueeze(1), one, torch.zeros(count, 1, 4), scores)


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("together", [1, 3, 100])
def test_sentences_get_the_union_of_their_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: bool, together: int
) -> None:
    monkeypatch.setattr(budgets, "RESIZED_BYTES", together * HEIGHT * WIDTH * budgets.FLOAT_BYTES)
    video, expressions = world(tmp_path)
    tracks = plan_tracks(GUIDED, np.arange(FRAMES), per_moment=True)
    items = [track.item(frame) for frame in range(FRAMES) for track in reversed(tracks)]
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(len(items), SIDE, SIDE, generator=random)
    scores = torch.randn(len(items), generator=random)
    with ThreadPoolExecutor(2) as threads:
        writer = MaskWriter(tmp_path, threads)
        assembler = MaskAssembler(video, expressions, tracks, writer, gate=gate)
        for start in range(0, len(items), 4):
            own = slice(start, start + 4)
            assembler.add(items[own], decoded(logits[own], scores[own]))
        assembler.finish()
        writer.wait()
    large = enlarge_masks(logits, HEIGHT, WIDTH).numpy()
    for row, expression in enumerate(expressions):
        for frame in range(FRAMES):
            places = [n for n, i in enumerate(items) if (i.expression, i.frame) == (row, frame)]
            kept = [large[n] for n in places if scores[n] > 0 or not gate]
            expected = np.any([np.zeros((HEIGHT, WIDTH), bool), *kept], axis=0)
            path = mask_path(tmp_path, "v", expression.expression_id, video.frame_names[frame])
            with Image.open(path) as image:
                assert np.array_equal(np.asarray(image), expected * np.uint8(255))
            assert assembler.areas[row, frame] == expected.sum()
            assert assembler.scores[row, frame] == max(float(scores[n]) for n in places)


def test_masks_are_taken_when_their_copy_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the copy of a batch runs while the next ones are computed."""
    log: list[str] = []

    class Slow:
        def __init__(self, number: int):
            self.number = number

        def synchronize(self) -> None:
            log.append(f"wait {self.number}")

    def started(*tensors: torch.Tensor) -> HostCopy:
        number = sum(line.startswith("copy") for line in log)
        log.append(f"copy {number}")
        return HostCopy(tensors, Slow(number))  # type: ignore[arg-type]

    monkeypatch.setattr(mask_assembler, "start_copy", started)
    video, expressions = world(tmp_path)
    tracks = plan_tracks(GUIDED[1:], np.arange(FRAMES), per_moment=True)
    with ThreadPoolExecutor(1) as threads:
        writer = MaskWriter(tmp_path, threads)
        assembler = MaskAssembler(video, expressions[1:], tracks, writer, gate=True)
        for frame in range(FRAMES):
            one: list[Item] = [tracks[0].item(frame)]
            assembler.add(one, decoded(torch.ones(1, SIDE, SIDE), torch.ones(1)))
        assembler.finish()
        writer.wait()
    order = "copy 0, copy 1, copy 2, wait 0, copy 3, wait 1, copy 4, wait 2, wait 3, wait 4"
    assert ", ".join(log) == order
    assert (assembler.areas == HEIGHT * WIDTH).all()
