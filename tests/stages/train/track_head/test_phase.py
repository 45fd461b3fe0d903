"""The last part of a training: the track head is fitted, calibrated and saved."""

from pathlib import Path

import pytest
import torch
from train_mini import small

from schemas.receipts import read_receipt
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.model.checkpoint import load_checkpoint
from stages.train.config import TrainInputs
from stages.train.stage import STAGE
from stages.train.track_head import fit, phase
from stages.train.track_head.calibrate import KEPT_TARGETS

RUNTIME = Runtime(device="cpu", workers=1)


def train(inputs: TrainInputs, out: Path, **changes: object) -> dict[str, int | float]:
    few: dict[str, object] = {"steps": 1, "track_steps": 3, "track_width": 8}
    config = small(**(few | changes))
    execute(STAGE, config, inputs, out, runtime=RUNTIME, progress=SilentProgress())
    receipt = read_receipt(out)
    assert receipt is not None
    return receipt.counts


@pytest.fixture(scope="module")
def whole(inputs: TrainInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run; to be read only."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "out"
    train(inputs, out)
    return out


def test_the_checkpoint_has_a_fitted_head(inputs: TrainInputs, whole: Path, tmp_path: Path) -> None:
    receipt = read_receipt(whole)
    assert receipt is not None
    counts = receipt.counts
    model = load_checkpoint(whole)
    assert model.track_head is not None
    assert model.config.track_width == 8
    assert model.thresholds.no_target == counts["no-target threshold"]
    assert counts["videos of the track head"] == 1  # the other one calibrates
    unfitted = train(inputs, tmp_path / "fewer", track_steps=1)
    assert unfitted["its loss"] != counts["its loss"]


def test_no_steps_leave_the_head_out(inputs: TrainInputs, tmp_path: Path) -> None:
    counts = train(inputs, tmp_path / "out", track_steps=0)
    assert load_checkpoint(tmp_path / "out").track_head is None
    assert "its loss" not in counts


def test_a_training_without_moments_has_no_head(inputs: TrainInputs, tmp_path: Path) -> None:
    train(inputs, tmp_path / "out", sampling="random", mdp=False, oss=False)
    assert load_checkpoint(tmp_path / "out").track_head is None


def test_a_held_out_index_calibrates_the_head(inputs: TrainInputs, tmp_path: Path) -> None:
    with_valid = TrainInputs(
        inputs.index, inputs.text, inputs.backbone, inputs.index, valid_text=inputs.text
    )
    counts = train(with_valid, tmp_path / "out", valid_expressions=2)
    assert counts["videos of the track head"] == 2
    assert 0 <= counts["held-out N-acc"] <= 1
    assert counts["held-out T-acc"] >= KEPT_TARGETS
    best = load_checkpoint(tmp_path / "out" / "best")
    assert best.track_head is None  # it was saved before the head was fitted


def test_cached_features_give_the_same_head(
    inputs: TrainInputs, whole: Path, tmp_path: Path
) -> None:
    train(inputs, tmp_path / "cached", cache_features=1.0)
    one, other = (load_checkpoint(out).track_head for out in (whole, tmp_path / "cached"))
    assert one is not None
    assert other is not None
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-2)


def test_an_interrupted_phase_resumes(
    inputs: TrainInputs, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered, original = [], phase.Gatherer.examples

    def count(*given: object, **more: object) -> object:
        gathered.append(1)
        return original(*given, **more)  # type: ignore[arg-type]

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(phase.Gatherer, "examples", count)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "head_losses", stop)
        with pytest.raises(KeyboardInterrupt):
            train(inputs, tmp_path / "parts")
    assert len(gathered) == 2
    train(inputs, tmp_path / "parts")
    assert len(gathered) == 2  # read again, not gathered again
    one, other = (load_checkpoint(out) for out in (whole, tmp_path / "parts"))
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert one.thresholds == other.thresholds


def test_without_a_track_to_learn_from_the_head_is_left_out(
    inputs: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase.Gatherer, "examples", lambda *given: [])
    counts = train(inputs, tmp_path / "out")
    assert load_checkpoint(tmp_path / "out").track_head is None
    assert "its loss" not in counts
