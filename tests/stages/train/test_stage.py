"""The whole stage on a miniature index."""

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_mini import (
    SENTENCES,
    SPANS,
    VIDEO_IDS,
    Interrupting,
    children_end,
    small,
    write_index,
    write_texts,
)

from schemas.errors import (
    ConfigError,
    CorruptInput,
    MissingInput,
    SchemaMismatch,
    TglError,
    TrainingDiverged,
)
from schemas.layouts import HISTORY_TABLE, MASKS_TABLE, TEXTS_TABLE, WEIGHTS_FILE
from schemas.parquet import read_table
from schemas.receipts import read_receipt
from schemas.tables import HISTORY
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.model.checkpoint import load_checkpoint
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.train import learner, stage
from stages.train.config import TrainConfig, TrainInputs
from stages.train.loading.clock import Clock
from stages.train.stage import STAGE
from stages.train.validation.relevance import measure_checkpoint

Run = Callable[..., Outcome]
RELEVANCE = ("auc", "ap", "auc_per_sentence", "ap_per_sentence")
WINDOWS: dict[str, object] = {"relevance_context": 6, "context_every": 2}
BASE = {"sampling": "random", "mdp": False, "oss": False}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / WEIGHTS_FILE)


def same(one: Path, two: Path) -> bool:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def history(folder: Path, name: str) -> list[float]:
    rows = read_table(folder / HISTORY_TABLE, HISTORY).to_pylist()
    return [row["value"] for row in rows if row["name"] == name]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_run_gives_a_checkpoint_and_its_history(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    valid = dataclasses.replace(inputs, valid=inputs.index)
    outcome = run_stage(STAGE, small(valid_every=2), valid, tmp_path / "out")
    model = load_checkpoint(tmp_path / "out")
    assert model.text_dim == 16
    receipt = read_receipt(tmp_path / "out")
    assert receipt is not None
    assert receipt.threads == torch.get_num_threads() == 1
    torch.set_num_threads(2)
    assert run_stage(STAGE, small(valid_every=2), valid, tmp_path / "out").skipped
    best = tmp_path / "out" / "best"
    assert load_checkpoint(best).config == model.config
    flip(best / WEIGHTS_FILE)
    with pytest.raises(
        CorruptInput, match=r"best/model\.safetensors: has changed since it was made"
    ):
        load_checkpoint(best)
    checked = check(
        tmp_path / "out", CheckConfig(), runtime=Runtime(workers=1), progress=SilentProgress()
    )
    assert [fault.where for fault in checked.faults] == [str(best)]
    for name in (
        "loss",
        "mask",
        "dice",
        "relevance",
        "J",
        "lr",
        "lr_new",
        "norm",
        "seconds",
        "waited",
    ):
        assert len(history(tmp_path / "out", name)) == 4, name
    assert len(history(tmp_path / "out", "valid_J")) == 2
    assert all(0 <= j <= 1 for j in history(tmp_path / "out", "valid_J"))
    measured = measure_checkpoint(
        tmp_path / "out", inputs.index, inputs.text, runtime=Runtime(workers=1, device="cpu")
    )
    assert set(measured) == {f"relevance_{name}" for name in RELEVANCE}
    for name, value in measured.items():
        assert history(tmp_path / "out", f"valid_{name}")[-1] == pytest.approx(value, abs=1e-6)
    assert outcome.counts["steps"] == 4
    assert outcome.counts["expressions"] == len(SENTENCES) * len(VIDEO_IDS)
    assert outcome.counts["without target"] == len(VIDEO_IDS)
    assert outcome.counts["without moments, whole video taken"] == len(VIDEO_IDS)
    names = {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")}
    files = {"model.safetensors", "config.json", "history.parquet", "receipt.json", "README.md"}
    assert names == files | {"best"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"- {len(VIDEO_IDS)} videos, {len(SENTENCES) * len(VIDEO_IDS)} sentences" in card
    assert str(tmp_path) not in card + (tmp_path / "out" / "config.json").read_text()


def test_frozen_weights_stay_and_the_others_move(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    config = small(freeze=("backbone.sam.memory_encoder",))
    run_stage(STAGE, config, inputs, tmp_path / "out")
    start = load_file(inputs.backbone / WEIGHTS_FILE)
    moved = {
        name.removeprefix("backbone.sam.").split(".")[0]
        for name, value in weights(tmp_path / "out").items()
        if name.startswith("backbone.sam.")
        and not torch.equal(value, start.get(name.removeprefix("backbone.sam."), value))
    }
    assert {"memory_attention", "mask_decoder"} <= moved
    assert not moved & {"vision_encoder", "memory_encoder", "prompt_encoder"}


def test_a_second_run_skips_and_a_changed_one_does_not(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert not run_stage(STAGE, small(steps=1), inputs, out).skipped
    assert run_stage(STAGE, small(steps=1), inputs, out).skipped
    assert not run_stage(STAGE, small(steps=1, seed=1), inputs, out).skipped


def test_the_same_settings_give_the_same_weights(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, small(steps=2, **WINDOWS), inputs, tmp_path / "one")
    run_stage(STAGE, small(steps=2, **WINDOWS), inputs, tmp_path / "two", workers=2)
    assert same(tmp_path / "one", tmp_path / "two")


def test_accumulated_batches_are_one_large_batch(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    """Frames are all guided here: the heat-map loss averages over guided frames of a batch."""
    common = {"steps": 1, "mdp": False, "lr": 1e-6, "lr_new": 1e-6}
    run_stage(STAGE, small(batch=4, **common), inputs, tmp_path / "one")
    run_stage(STAGE, small(batch=2, accumulate=2, **common), inputs, tmp_path / "two")
    for name in ("loss", "norm", "J"):
        one, two = history(tmp_path / "one", name), history(tmp_path / "two", name)
        assert one == pytest.approx(two, rel=1e-4), name


def test_all_sentences_of_a_clip_learn_masks_and_relevance(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "waited", 0.5)
    found = {}
    for sentences in (1, 2):
        progress, out = SilentProgress(), tmp_path / str(sentences)
        config = small(steps=1, flip=0.0, sentences_per_clip=sentences)
        run_stage(STAGE, config, inputs, out, progress=progress)
        line = progress.warnings[-1]
        assert line.startswith("the network waited for data 50% of the time: ")
        found[sentences] = {name: history(out, name)[0] for name in ("relevance", "mask", "dice")}
    for name in ("relevance", "mask", "dice"):
        assert found[2][name] != pytest.approx(found[1][name], rel=1e-4), name


def test_windows_come_at_every_kth_step(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, small(steps=3, adapter_steps=2, **WINDOWS), inputs, tmp_path / "out")
    rows = read_table(tmp_path / "out" / HISTORY_TABLE, HISTORY).to_pylist()
    found = [(row["step"], row["value"]) for row in rows if row["name"] == "context"]
    assert [step for step, _ in found] == [1, 3, 5]
    assert all(0 < value < 5 for _, value in found)


def test_a_window_trains_the_relevance_head_and_nothing_else(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    common: dict[str, object] = {"steps": 1, "warmup": 0, "clip_norm": 0.0}
    run_stage(STAGE, small(**common, **WINDOWS), inputs, tmp_path / "with")
    run_stage(STAGE, small(**common), inputs, tmp_path / "without")
    one, two = weights(tmp_path / "with"), weights(tmp_path / "without")
    changed = {name for name in one if not torch.equal(one[name], two[name])}
    assert changed
    assert all(name.startswith("adapter.relevance_") for name in changed)
    assert not history(tmp_path / "without", "context")
    for name in ("loss", "relevance"):  # of the clips, before the step
        assert history(tmp_path / "with", name) == history(tmp_path / "without", name)


def test_averaged_weights_lie_between_first_and_last(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, small(), inputs, tmp_path / "last")
    run_stage(STAGE, small(ema=0.999), inputs, tmp_path / "average")
    start = load_file(inputs.backbone / WEIGHTS_FILE)
    name = "memory_attention.layers.0.linear1.weight"
    last = (weights(tmp_path / "last")[f"backbone.sam.{name}"] - start[name]).norm()
    average = (weights(tmp_path / "average")[f"backbone.sam.{name}"] - start[name]).norm()
    assert 0 < average < last / 10


def test_cached_features_train_nearly_the_same(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, small(steps=2), inputs, tmp_path / "live")
    run_stage(STAGE, small(steps=2, cache_features=0.1), inputs, tmp_path / "cached")
    live, cached = history(tmp_path / "live", "loss"), history(tmp_path / "cached", "loss")
    assert live == pytest.approx(cached, rel=1e-2)
    assert not list((tmp_path / "cached").rglob("*features*"))


def test_half_precision_trains_nearly_the_same(inputs: TrainInputs, tmp_path: Path) -> None:
    inputs = dataclasses.replace(inputs, valid=inputs.index)
    losses, valid = [], []
    for precision in ("fp32", "bf16"):
        runtime = Runtime(workers=1, device="cpu", precision=precision)
        out = tmp_path / precision
        execute(STAGE, small(steps=2), inputs, out, runtime=runtime, progress=SilentProgress())
        losses.append(history(out, "loss"))
        valid.append(history(out, "valid_relevance_auc"))
    assert losses[0] == pytest.approx(losses[1], rel=3e-2)
    assert valid[0] == pytest.approx(valid[1], abs=0.1)
    assert losses[0] != losses[1]


def test_tensorboard_files_are_part_of_the_artifact(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    run_stage(STAGE, small(steps=1, tensorboard=True), inputs, tmp_path / "out")
    assert list((tmp_path / "out" / "tensorboard").rglob("events.out.*"))


def test_adapter_steps_come_first_and_train_nothing_else(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    config = small(adapter_steps=3, steps=1, warmup=0, lr=0.0)
    run_stage(STAGE, config, inputs, tmp_path / "out")
    assert len(history(tmp_path / "out", "heatmap")) == len(history(tmp_path / "out", "loss")) == 4
    assert len(history(tmp_path / "out", "mask")) == len(history(tmp_path / "out", "J")) == 1
    rates = history(tmp_path / "out", "lr_new")
    assert rates[0] == rates[3] == config.lr_new
    assert rates[1] < rates[0]
    trained = weights(tmp_path / "out")
    start = load_file(inputs.backbone / WEIGHTS_FILE)
    for name, value in start.items():
        assert torch.equal(trained[f"backbone.sam.{name}"], value), name


# --- switches ---------------------------------------------------------------------------------


@pytest.fixture
def guided(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Which frames took the language path, for every clip batch."""
    met: list[torch.Tensor] = []
    original = learner.clip_losses

    def spy(out, targets, relevant, config, **more):  # type: ignore[no-untyped-def]
        met.append(out.guided)
        return original(out, targets, relevant, config, **more)

    monkeypatch.setattr(learner, "clip_losses", spy)
    return met


def test_without_mdp_no_frame_takes_the_agnostic_path(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, guided: list[torch.Tensor]
) -> None:
    for mdp in (False, True):
        guided.clear()
        run_stage(STAGE, small(mdp=mdp, steps=2), inputs, tmp_path / str(mdp))
        assert len(guided) == 2
        assert all(batch.all() for batch in guided) == (not mdp)


@pytest.mark.parametrize("switches", [BASE, {"sampling": "moment"}])
def test_moments_move_weights_of_all_arms_but_the_baseline(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, switches: dict[str, object]
) -> None:
    """Other moments, same everything: the baseline's weights must not notice."""
    shuffled = {"a": SPANS["b"], "b": [(0, 9)], "c": [(4, 5)]}
    write_index(tmp_path / "index", spans=shuffled)
    other = dataclasses.replace(inputs, index=tmp_path / "index")
    config = small(steps=3, relevance_weight=5.0, **WINDOWS, **switches)
    run_stage(STAGE, config, inputs, tmp_path / "one")
    run_stage(STAGE, config, other, tmp_path / "two")
    assert same(tmp_path / "one", tmp_path / "two") == (switches == BASE)
    assert bool(history(tmp_path / "one", "relevance")) == (switches != BASE)


# --- interruption -----------------------------------------------------------------------------


def assert_same_run(one: Path, two: Path) -> None:
    assert same(one, two)
    for name in ("loss", "J", "norm", "context"):
        assert history(one, name) == history(two, name)


def test_a_killed_run_goes_on_to_identical_weights(
    run_stage: Run, killed_run: Callable[..., None], inputs: TrainInputs, tmp_path: Path
) -> None:
    changes: dict[str, object] = {"ema": 0.9, "accumulate": 2, "cache_features": 0.1}
    config = small(adapter_steps=2, steps=3, **changes, **WINDOWS)
    run_stage(STAGE, config, inputs, tmp_path / "whole")
    killed_run(STAGE, config, inputs, tmp_path / "killed", 3)
    assert not (tmp_path / "killed").exists()
    states = list(tmp_path.glob(".killed.*.work/.tgl/keep/state.pt"))
    assert torch.load(states[0], weights_only=True)["step"] > 0
    run_stage(STAGE, config, inputs, tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_an_interrupted_run_goes_on_to_identical_weights(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    config = small(valid_every=2, valid_expressions=2)
    valid = dataclasses.replace(inputs, valid=inputs.index)
    run_stage(STAGE, config, valid, tmp_path / "whole")
    for after in (1, 3):
        cut = tmp_path / f"cut after {after}"
        with pytest.raises(KeyboardInterrupt):
            run_stage(STAGE, config, valid, cut, progress=Interrupting(after))
        run_stage(STAGE, config, valid, cut)
        assert_same_run(tmp_path / "whole", cut)
        assert same(tmp_path / "whole" / "best", cut / "best")
        assert len(list(cut.rglob("best*"))) == 1


def test_a_damaged_state_is_told_and_training_starts_again(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(steps=2, batch=1, valid_every=2, valid_expressions=1)
    valid = dataclasses.replace(inputs, valid=inputs.index)
    run_stage(STAGE, config, valid, tmp_path / "whole")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage, "rows_of", interrupted)  # all steps are done, the best is in place
        run_stage(STAGE, config, valid, tmp_path / "cut")
    (path,) = tmp_path.glob(".cut.*.work/.tgl/keep/state.pt")
    flip(path)
    progress = SilentProgress()
    run_stage(STAGE, config, valid, tmp_path / "cut", progress=progress)
    assert progress.warnings == [
        "the saved state of the interrupted run is damaged; training starts again from step 1"
    ]
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    assert same(tmp_path / "whole" / "best", tmp_path / "cut" / "best")


# --- failures ---------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_its_clip(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = learner.clip_losses

    def poisoned(out, targets, relevant, config, **more):  # type: ignore[no-untyped-def]
        terms = original(out, targets, relevant, config, **more)
        empty = ~targets.flatten(1).bool().any(dim=1)  # the sentence "2" has no target
        return terms | {"total": terms["total"] * (math.nan if empty.any() else 1.0)}

    monkeypatch.setattr(learner, "clip_losses", poisoned)
    with pytest.raises(TrainingDiverged) as caught:
        run_stage(STAGE, small(steps=50), inputs, tmp_path / "out")
    line = str(caught.value)
    assert "expression 2: the loss of step" in line
    assert "expression 0" not in line
    assert not (tmp_path / "out").exists()
    assert children_end(), "an error that is kept keeps the workers"


def test_a_window_whose_loss_is_not_finite_is_named(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(logits: torch.Tensor, *_: object) -> torch.Tensor:
        return logits.sum() * math.nan

    monkeypatch.setattr(learner, "relevance_loss", poisoned)
    with pytest.raises(TrainingDiverged) as caught:
        run_stage(STAGE, small(steps=1, **WINDOWS), inputs, tmp_path / "out")
    line = r"the window of video (one|two): the loss of step 1 is not finite"
    assert re.search(line, str(caught.value))
    assert children_end(), "an error that is kept keeps the workers"


def test_a_sentence_without_embedding_is_refused_before_the_first_step(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    write_texts(tmp_path / "text", ["another sentence"])
    other = dataclasses.replace(inputs, text=tmp_path / "text")
    with pytest.raises(MissingInput, match="no embedding of"):
        run_stage(STAGE, small(), other, tmp_path / "out")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "error", "line"),
    [
        (lambda i: truncate(i.index / MASKS_TABLE), CorruptInput, "masks.parquet"),
        (lambda i: truncate(i.text / TEXTS_TABLE), CorruptInput, "texts.parquet"),
        (lambda i: (i.text / TEXTS_TABLE).unlink(), MissingInput, "precompute-text"),
        (lambda i: truncate(i.backbone / WEIGHTS_FILE), CorruptInput, WEIGHTS_FILE),
        (lambda i: (i.backbone / "config.json").unlink(), MissingInput, "config.json"),
    ],
)
def test_damaged_inputs_give_one_line(
    run_stage: Run,
    inputs: TrainInputs,
    tmp_path: Path,
    damage: Callable[[TrainInputs], None],
    error: type[TglError],
    line: str,
) -> None:
    import shutil

    own = TrainInputs(tmp_path / "i", tmp_path / "t", tmp_path / "b")
    for source, target in (
        (inputs.index, own.index),
        (inputs.text, own.text),
        (inputs.backbone, own.backbone),
    ):
        shutil.copytree(source, target)
    damage(own)
    with pytest.raises(error, match=line) as caught:
        run_stage(STAGE, small(), own, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="relevant frames do not fit"):
        TrainConfig(clip_frames=3, relevant_frames=4)
    with pytest.raises(ConfigError, match="changing colours"):
        TrainConfig(colour=0.2, cache_features=1.0)
    with pytest.raises(ConfigError, match="--adapter-width: 30 channels cannot be divided among 4"):
        TrainConfig(adapter_width=30)
    with pytest.raises(ConfigError, match="sampling"):
        TrainConfig(sampling="all")


def test_a_warm_up_that_never_ends_is_told(
    run_stage: Callable, inputs: TrainInputs, tmp_path: Path
) -> None:
    progress = SilentProgress()
    config = small(steps=1, adapter_steps=0, warmup=100)
    run_stage(STAGE, config, inputs, tmp_path / "out", progress=progress)
    assert progress.warnings[0].startswith("--warmup 100 is not shorter than the training: ")


def test_an_unknown_part_cannot_be_frozen(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no parameter has the name or prefix nose"):
        run_stage(STAGE, small(freeze=("nose",)), inputs, tmp_path / "out")


def test_a_model_of_another_kind_is_refused(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    other = tmp_path / "bert"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(SchemaMismatch, match="bert"):
        run_stage(STAGE, small(), dataclasses.replace(inputs, backbone=other), tmp_path / "out")
