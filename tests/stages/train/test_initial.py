"""Starting from a checkpoint: whole, fitting, and recorded."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_mini import encoded_by, small

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.layouts import CHECKPOINT_CONFIG, WEIGHTS_FILE
from schemas.receipts import Receipt, read_receipt, write_receipt
from stages.core.engine.execute import Outcome
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig, TrainInputs
from stages.train.initial import initial_model, with_sizes_of
from stages.train.stage import STAGE

Run = Callable[..., Outcome]
ENCODER = "words, mean pooling"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose weights, frozen and gated ones too, are those of no backbone."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    torch.manual_seed(7)
    config = small(temporal_radius=3)
    model = TglModel(config.model_config(), build_backbone(toy_preset(64)), 16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    save_checkpoint(folder, model, encoder=ENCODER)
    return folder


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """The checkpoint, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "init"))


def started(inputs: TrainInputs, checkpoint: Path) -> TrainInputs:
    return dataclasses.replace(inputs, backbone=None, init=checkpoint)


def still_config(**changes: object) -> TrainConfig:
    """One step that changes nothing."""
    return small(steps=1, batch=1, lr=0.0, lr_new=0.0, temporal_radius=3, **changes)


def test_training_starts_from_all_weights_of_the_checkpoint(
    run_stage: Run, inputs: TrainInputs, own: Path, tmp_path: Path
) -> None:
    """And starts again from another one, but not from the same one elsewhere."""
    config, out = still_config(), tmp_path / "out"
    run_stage(STAGE, config, started(inputs, own), out)
    before, after = load_file(own / WEIGHTS_FILE), load_file(out / WEIGHTS_FILE)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    receipt = read_receipt(out)
    assert receipt is not None
    assert set(receipt.inputs) == {"index", "text", "init"}
    assert run_stage(STAGE, config, started(inputs, own), out).skipped
    moved = Path(shutil.move(own, tmp_path / "moved"))
    assert run_stage(STAGE, config, started(inputs, moved), out).skipped
    torch.manual_seed(8)
    model = TglModel(config.model_config(), build_backbone(toy_preset(64)), 16)
    save_checkpoint(moved, model, encoder=ENCODER)
    again = run_stage(STAGE, config, started(inputs, moved), out)
    assert not again.skipped
    assert again.replaced == "a result of other inputs (init)"


def test_the_trained_parts_are_those_of_a_new_model(inputs: TrainInputs, trained: Path) -> None:
    """And the run's own settings of the segmenter apply, not the checkpoint's."""
    config = still_config(object_gate="always", memory_frames=2)
    model = initial_model(config, started(inputs, trained), 16)
    new = initial_model(config, inputs, 16)
    for kind in ("new", "pretrained", "frozen"):
        names = [name for name in new.parameter_groups()[kind] if not name.startswith("original.")]
        assert list(model.parameter_groups()[kind]) == names, kind
    assert model.original is None  # as in this checkpoint
    assert new.original is not None
    assert model.segmenter == config.segmenter_config()
    assert not model.backbone.image_encoder.training


def test_sizes_come_from_the_checkpoint_unless_the_user_says_otherwise(trained: Path) -> None:
    config = with_sizes_of(TrainConfig(lr=2e-5), trained)
    assert replace(config.model_config(), track_width=0) == small(temporal_radius=3).model_config()
    assert config.lr == 2e-5
    config = with_sizes_of(TrainConfig(adapter_width=64), trained, {"adapter_width", "lr"})
    assert (config.adapter_width, config.temporal_radius) == (64, 3)


def test_an_adapter_of_another_size_is_refused(
    run_stage: Run, inputs: TrainInputs, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        run_stage(STAGE, small(), started(inputs, trained), tmp_path / "out")
    assert str(caught.value) == (
        f"--temporal-radius: 4 does not fit --init {trained}, whose adapter has 3; leave the "
        "option out, or train without --init"
    )


def test_texts_of_another_encoder_are_refused(
    run_stage: Run, inputs: TrainInputs, trained: Path, tmp_path: Path
) -> None:
    text = encoded_by("letters", inputs.text, tmp_path / "text")
    other = dataclasses.replace(started(inputs, trained), text=text)
    with pytest.raises(SchemaMismatch) as caught:
        run_stage(STAGE, still_config(), other, tmp_path / "out")
    assert str(caught.value) == (
        f"{text}: encoded by letters, mean pooling, but --init {trained} by {ENCODER}; precompute "
        "all texts with one encoder"
    )


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def widen(folder: Path) -> None:
    """Make the checkpoint one for texts of another width."""
    document = json.loads((folder / CHECKPOINT_CONFIG).read_text())
    model = TglModel(small(temporal_radius=3).model_config(), build_backbone(toy_preset(64)), 8)
    save_checkpoint(folder, model, encoder=document["text"]["encoder"])


def change_weights_beside_their_receipt(folder: Path) -> None:
    write_receipt(folder, Receipt("train", 1, {}, {}, "", {}, list_folder(folder)))
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "error", "line"),
    [
        (lambda f: truncate(f / WEIGHTS_FILE), CorruptInput, WEIGHTS_FILE),
        (lambda f: truncate(f / CHECKPOINT_CONFIG), CorruptInput, CHECKPOINT_CONFIG),
        (lambda f: (f / CHECKPOINT_CONFIG).unlink(), MissingInput, "is not a checkpoint, it lacks"),
        (lambda f: (f / WEIGHTS_FILE).unlink(), MissingInput, "is not a checkpoint, it lacks"),
        (shutil.rmtree, MissingInput, "no such checkpoint; make one with tgl train"),
        (change_weights_beside_their_receipt, CorruptInput, "has changed since it was made"),
        (widen, SchemaMismatch, "the texts have 16 numbers per token, the checkpoint expects 8"),
    ],
)
def test_a_damaged_checkpoint_gives_one_line(
    run_stage: Run,
    inputs: TrainInputs,
    own: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: type[TglError],
    line: str,
) -> None:
    damage(own)
    with pytest.raises(error, match=line) as caught:
        run_stage(STAGE, still_config(), started(inputs, own), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_backbone_is_not_a_checkpoint(
    run_stage: Run, inputs: TrainInputs, backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(SchemaMismatch, match="not a TGL checkpoint; make one with `tgl train`"):
        run_stage(STAGE, still_config(), started(inputs, backbone), tmp_path / "out")


def test_a_training_starts_from_one_model(inputs: TrainInputs, trained: Path) -> None:
    for backbone, init in ((None, None), (inputs.backbone, trained)):
        with pytest.raises(ValueError, match="from a backbone or from a checkpoint"):
            dataclasses.replace(inputs, backbone=backbone, init=init)
