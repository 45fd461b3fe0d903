"""Fitting the track head: learns, resumes, and reports damage."""

from pathlib import Path

import pytest
import torch

from schemas.errors import CorruptInput
from stages.core.engine.progress import SilentProgress
from stages.core.model.track_head.evidence import CUES, TrackEvidence
from stages.core.model.track_head.geometry import GEOMETRY_WIDTH
from stages.core.model.track_head.head import TrackHead
from stages.train.track_head import fit
from stages.train.track_head.bank import Example, save_examples
from stages.train.track_head.examples import Labels
from stages.train.track_head.fit import HeadFitter, head_losses

CHANNELS, TRACKS, FRAMES = 8, 3, 6


def example(seed: int) -> Example:
    """The first cue says which track is meant, and its sign in a frame when."""
    generator = torch.Generator().manual_seed(seed)
    match = torch.rand(2, TRACKS, generator=generator) > 0.6
    relevant = match[..., None] & (torch.rand(2, TRACKS, FRAMES, generator=generator) > 0.5)
    cues = torch.randn(2, TRACKS, FRAMES, CUES, generator=generator)
    cues[..., 0] = match[..., None].float() * 6 - 3
    cues[..., 1] = relevant.float() * 6 - 3
    evidence = TrackEvidence(
        tokens=torch.zeros(2, TRACKS, FRAMES, CHANNELS),
        cues=cues,
        geometry=torch.zeros(TRACKS, FRAMES, GEOMETRY_WIDTH),
        looks=torch.zeros(TRACKS, 12),
        visible=torch.ones(TRACKS, FRAMES, dtype=torch.bool),
        sentences=torch.zeros(2, 6),
        text=torch.randn(2, 2 * CHANNELS, generator=generator),
    )
    known = torch.ones(2, dtype=torch.bool)
    return Example(evidence, Labels(match, relevant, known), match.any(dim=1))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "bank"
    folder.mkdir()
    paths = [folder / f"{number}.pt" for number in range(24)]
    for number, path in enumerate(paths):
        save_examples(path, [example(number), example(100 + number)])
    return paths


def fitted(files: list[Path], keep: Path, steps: int) -> tuple[TrackHead, dict[str, float]]:
    torch.manual_seed(0)
    keep.mkdir(exist_ok=True)
    head = TrackHead(CHANNELS, 12, 6, 16)
    return head, HeadFitter(head, files, steps, 0, keep).run(SilentProgress())


def test_the_head_learns_which_tracks_are_meant_and_when(files: list[Path], tmp_path: Path) -> None:
    head, terms = fitted(files, tmp_path / "state", 100)
    matches, frames = [], []
    for seed in range(1000, 1010):
        new = example(seed)
        with torch.no_grad():
            match, relevance = head(new.evidence)
        matches.append((match > 0) == new.labels.match)
        frames.append(((relevance > 0) == new.labels.relevant)[new.labels.match])
    assert torch.cat(matches).float().mean() >= 0.9
    assert torch.cat(frames).float().mean() >= 0.8
    assert set(terms) == {"match", "target", "relevance"}
    assert not any(p.requires_grad for p in head.parameters())


def test_an_interrupted_fit_ends_with_the_same_weights_and_losses(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, losses = fitted(files, tmp_path / "whole", 6)
    monkeypatch.setattr(fit, "_SAVED_EVERY", 0.0)
    original, calls = fit.head_losses, []

    def stop(*given: object) -> object:
        calls.append(1)
        if len(calls) == 3 * fit.EXAMPLES_PER_STEP + 1:
            raise KeyboardInterrupt
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(fit, "head_losses", stop)
    with pytest.raises(KeyboardInterrupt):
        fitted(files, tmp_path / "parts", 6)
    monkeypatch.setattr(fit, "head_losses", original)
    resumed, terms = fitted(files, tmp_path / "parts", 6)
    assert terms == losses
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert fitted(files, tmp_path / "parts", 6)[1] == losses  # killed after the last step


def test_a_file_that_is_damaged_meanwhile_is_named(files: list[Path], tmp_path: Path) -> None:
    for path in files:
        path.write_bytes(b"")
    with pytest.raises(CorruptInput, match="run the command again"):
        fitted(files, tmp_path / "state", 2)


def test_frames_count_only_where_moments_are_known() -> None:
    given = example(3)
    unknown = Example(
        given.evidence,
        Labels(given.labels.match, given.labels.relevant, torch.zeros(2, dtype=torch.bool)),
        given.has_target,
    )
    head = TrackHead(CHANNELS, 12, 6, 8).eval()
    device = torch.device("cpu")
    assert head_losses(head, unknown, device)["relevance"].item() == 0
    assert head_losses(head, given, device)["relevance"].item() > 0
