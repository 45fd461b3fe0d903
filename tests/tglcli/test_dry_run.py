"""tgl train --dry-run and tgl propagate --dry-run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from mistakes_world import tgl

from stages.core.index import frame_files
from stages.core.model.cost.parts import Part
from stages.propagate.dry_run.run import PropagateCost
from stages.propagate.dry_run.video import VideoCost, VideoShape
from stages.train.dry_run.run import Loading, Memory, TrainCost
from stages.train.dry_run.step import StepCost
from tglcli.dry_run.tables import duration, print_propagate_cost, print_train_cost

FEW = ("--batch", "2", "--clip-frames", "2", "--relevant-frames", "1", "--steps", "30")
SMALL = ("--adapter-width", "16", "--adapter-heads", "2", "--adapter-layers", "1")
STEPS, BATCH, PROCESSES, TFLOPS = 30, 2, 2, 0.5
STEP = StepCost(20_700 * 10**9, 10**13, 25 * 10**12, 18 * 10**9, 19 * 10**9)
COLUMNS = 80
SECONDS = 60


@pytest.fixture
def no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a frame fails the test."""

    def read(*_: object) -> None:
        raise AssertionError("a dry run reads no frame")

    for module in (frame_files, "stages.train.data.pixels", "stages.core.model.video_features"):
        where = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{where}.read_video_frame", read)


def _config_alone(folder: Path, document: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(document))
    return folder


def test_train_counts_from_the_configuration_alone(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_frames: None,
) -> None:
    monkeypatch.setattr("stages.train.dry_run.run.step_cost", lambda *_: STEP)
    monkeypatch.chdir(world)
    whole = json.loads(Path("ck", "config.json").read_text())
    net = _config_alone(tmp_path / "net", whole["backbone"])
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    words = ["train", "index", "text", str(out), "--backbone", str(net), "--dry-run", "--json"]
    words += [*FEW, *SMALL, "--tflops", str(TFLOPS), "--workers", "3", "--device", "cpu"]
    monkeypatch.setenv("WORLD_SIZE", str(PROCESSES))
    monkeypatch.setenv("RANK", "1")
    assert tgl(words, monkeypatch) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    assert tgl(words, monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert found["processes"] == PROCESSES
    assert found["steps_per_epoch"] == found["sentences"] / (BATCH * PROCESSES)
    assert found["step"]["flops"] == STEP.flops
    assert found["hours"] == pytest.approx(STEP.flops * STEPS / (TFLOPS * 1e12) / 3600)
    trained = {part["name"]: part["trained"] for part in found["parts"]}
    assert trained["image encoder"] == 0 < trained["adapter"]
    own = found["memory"]["bf16"]
    assert own["gradients"] == 4 * (sum(trained.values()) - trained["track head"])
    assert own["total"] == own["weights"] + 2 * own["gradients"] + STEP.peak
    side, batches = 64, 3 * 2 + 2
    assert found["loading"]["batches"] == batches * BATCH * 2 * (3 * side**2 + (side // 4) ** 2)
    levels = 128 * 4**2 + 32 * 8**2 + 16 * 16**2
    assert found["loading"]["cache"] == found["loading"]["frames"] * levels * 2


def test_a_dry_run_downloads_nothing(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    named = ("--backbone", "nobody/no-such-model", "--dry-run")
    assert tgl(["train", "index", "text", "out", *named], monkeypatch) != 0
    error = capsys.readouterr().err
    assert "a dry run downloads nothing" in error
    assert "hf download nobody/no-such-model config.json" in error


@pytest.mark.slow
def test_propagate_counts_from_the_configuration_alone(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_frames: None,
) -> None:
    monkeypatch.chdir(world)
    document = json.loads(Path("ck", "config.json").read_text())
    model = _config_alone(tmp_path / "model", document)
    out = tmp_path / "out"
    words = ["propagate", "index", "text", str(model), str(out), "--dry-run", "--json"]
    assert tgl(words, monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert not out.exists()
    video = found["video"]["fp32"]
    expected = video["per_frame"] * found["frames"]
    expected += video["per_frame_and_sentence"] * found["masks"]
    assert found["flops"] == pytest.approx(expected)
    assert found["masks"] > found["frames"] > 0
    assert found["hours"] == pytest.approx(expected / 300e12 / 3600)
    assert tgl([*words, "--online"], monkeypatch) != 0
    assert "--online" in capsys.readouterr().err


@pytest.mark.slow
def test_base_plus_is_counted_within_a_minute(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stages.core.model.backbones.presets import sam21_preset

    monkeypatch.chdir(world)
    sam21_preset("base-plus").save_pretrained(tmp_path / "net")
    words = ("train", "index", "text", "out", "--backbone", str(tmp_path / "net"))
    begun = time.process_time()
    assert tgl([*words, "--dry-run", "--json"], monkeypatch) == 0
    assert time.process_time() - begun < SECONDS
    found = json.loads(capsys.readouterr().out)
    memory = found["memory"]
    assert memory["bf16"]["activations"] < 0.8 * memory["fp32"]["activations"]
    gigabytes = memory["bf16"]["total"] / 1e9
    # 21.3 GB were measured on a GPU, docs/training.md, with targets that took 1.1 GB more.
    assert 18 < gigabytes < 21


def _parts() -> list[Part]:
    return [Part("image encoder", 69_000_000, 0, 276_000_000), Part("adapter", 10, 10, 40)]


def test_the_tables_fit_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    memory = {name: Memory(4, 5, 6, 18 * 10**9, 19 * 10**9) for name in ("bf16", "fp32")}
    loading = Loading(12, 10**9, 10**8, 123_456, 10**12, True)
    print_train_cost(
        TrainCost(
            _parts(), STEP, STEP, STEP, memory, loading, 4, 8, 1, 8, 20_000, 500, 23_051, 720.3,
            300.0, 31.4,
        )
    )  # fmt: skip
    shape = VideoShape(32, 14, 0.5, 4)
    video = {name: VideoCost(shape, 10**13, 10**14, 10**13, 10**10, 32) for name in memory}
    print_propagate_cost(
        PropagateCost(
            _parts(), video, 10**9, 2 * 10**9, 140, 11_000, 793, 177_000, 180, 10**17, 1, 300.0, 0.1
        )
    )
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(lines)
    for figure in ("69.00 M", "20.7", "55.7", "18.0 GB", "31.4 hours", "6 minutes", "177,000"):
        assert figure in text, figure
    assert max(map(len, lines)) <= COLUMNS
    assert "on 1 device at 300 TFLOP/s" in text


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (31.4, "31.4 hours"),
        (0.1, "6 minutes"),
        (0.01, "36.0 seconds"),
        (1e-6, "less than a second"),
    ],
)
def test_times_have_a_unit_that_fits(hours: float, text: str) -> None:
    assert duration(hours) == text
