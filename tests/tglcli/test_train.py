"""tgl train with a checkpoint to start from and a further index."""

from dataclasses import replace
from pathlib import Path

import pytest
from mistakes_world import tgl

from schemas.receipts import read_receipt
from stages.core.model.checkpoint import adapter_config

FEW = (
    "--steps",
    "1",
    "--track-steps",
    "0",
    "--batch",
    "2",
    "--clip-frames",
    "2",
    "--relevant-frames",
    "1",
)


def test_a_run_goes_on_from_a_checkpoint_with_its_sizes(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    out = tmp_path / "out"
    also = ("--also", "index2", "--also-text", "text2", "--weights", "0.5,0.5")
    words = ("train", "index", "text", str(out), "--init", "ck", *also, *FEW, "--warmup", "0")
    assert tgl([*words, "--temporal-radius", "2", "--workers", "1"], monkeypatch) == 0
    receipt = read_receipt(out)
    assert receipt is not None
    assert set(receipt.inputs) == {"index", "text", "init", "index 2", "text 2"}
    assert receipt.config["index_weights"] == [0.5, 0.5]
    assert receipt.config["adapter_width"] == 16
    own = adapter_config(world / "ck")
    assert adapter_config(out) == replace(own, track_width=0)
    printed = capsys.readouterr()
    assert "epochs of index 2" in printed.out + printed.err
