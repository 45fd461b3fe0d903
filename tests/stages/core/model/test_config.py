"""Settings of the model: what a checkpoint keeps, and what a run is recognised by."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import SchemaMismatch
from stages.core.model.checkpoint import (
    load_checkpoint,
    read_document,
    save_checkpoint,
    text_encoder,
)
from stages.core.model.config import BEFORE_SETTINGS, SegmenterConfig
from stages.core.model.loading.hub import TOY_CHECKPOINT
from stages.propagate.config import PropagateConfig
from stages.train.config import TrainConfig

TRAIN_KEYS = [
    "mask_weight",
    "mask_loss",
    "focal_alpha",
    "focal_gamma",
    "dice_weight",
    "mask_terms",
    "loss_side",
    "iou_weight",
    "object_weight",
    "relevance_weight",
    "heatmap_weight",
    "adapter_width",
    "adapter_layers",
    "adapter_heads",
    "temporal_radius",
    "relevance_radius",
    "track_width",
    "gap_codes",
    "neighbours",
    "memory_frames",
    "multimask",
    "per_moment_banks",
    "irrelevant_memory",
    "confident_score",
    "object_gate",
    "sampling",
    "mdp",
    "oss",
    "routing_noise",
    "seed",
    "steps",
    "adapter_steps",
    "track_steps",
    "batch",
    "accumulate",
    "clip_frames",
    "relevant_frames",
    "max_stride",
    "spread",
    "flip",
    "colour",
    "lr",
    "lr_new",
    "weight_decay",
    "warmup",
    "clip_norm",
    "ema",
    "freeze",
    "valid_every",
    "valid_expressions",
    "valid_frames",
    "cache_features",
    "tensorboard",
]
PROPAGATE_KEYS = [
    "moments",
    "relevance_threshold",
    "fill_gaps",
    "drop_specks",
    "no_target_threshold",
    "memory_frames",
    "irrelevant_memory",
    "banks",
    "object_gate",
]
ONLINE_KEYS = ["online", "delay", "online_moments"]


def test_receipts_keep_their_keys_and_their_order() -> None:
    """Another key would make every earlier run look like a different one."""
    assert list(TrainConfig().to_dict()) == TRAIN_KEYS
    assert list(PropagateConfig().to_dict()) == PROPAGATE_KEYS
    assert list(PropagateConfig(online=True).to_dict()) == PROPAGATE_KEYS + ONLINE_KEYS


def test_the_toy_checkpoint_is_saved_again_to_the_byte(tmp_path: Path) -> None:
    """Its settings too, but for those that did not exist when it was made."""
    document = read_document(TOY_CHECKPOINT)
    save_checkpoint(tmp_path, load_checkpoint(TOY_CHECKPOINT), encoder=text_encoder(document))
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert weights == (TOY_CHECKPOINT / "model.safetensors").read_bytes()
    again = read_document(tmp_path)
    for one in (document, again):
        del one["backbone"]["transformers_version"]  # of the library that saved it
    assert document.pop("model").items() <= again.pop("model").items()
    assert document.items() <= again.items()


def test_a_checkpoint_from_before_a_setting_has_what_it_was_trained_with(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, load_checkpoint(TOY_CHECKPOINT), encoder="hash", with_head=False)
    path = tmp_path / "config.json"
    document = json.loads(path.read_text())
    for name in BEFORE_SETTINGS:
        document["model"].pop(name, None)
    path.write_text(json.dumps(document))
    if load_checkpoint(TOY_CHECKPOINT).config.gap_codes == "all":
        config = load_checkpoint(tmp_path).config
        assert (config.gap_codes, config.neighbours) == ("all", "nearest")
    else:  # its weights do not fit
        with pytest.raises(SchemaMismatch):
            load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("gate", "training", "expected"),
    [
        ("truth", False, True),
        ("truth", True, False),
        ("eval", False, True),
        ("eval", True, False),
        ("always", True, True),
        ("never", False, False),
    ],
)
def test_when_the_gate_is_on(gate: str, training: bool, expected: bool) -> None:
    assert SegmenterConfig(object_gate=gate).gates(training=training) is expected


def test_a_run_changes_what_it_names_and_nothing_else() -> None:
    trained = SegmenterConfig(memory_frames=3, irrelevant_memory="confident", object_gate="always")
    assert PropagateConfig().segmenter(trained) == trained
    named = {"memory_frames": 5, "irrelevant_memory": "none", "banks": "one", "object_gate": False}
    changed = PropagateConfig(**named).segmenter(trained)  # type: ignore[arg-type]
    assert changed == SegmenterConfig(
        memory_frames=5, per_moment_banks=False, irrelevant_memory="none", object_gate="never"
    )


def test_config_needs_no_torch() -> None:
    code = (
        "import sys, stages.core.model.config, stages.propagate.config;"
        "print([m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
