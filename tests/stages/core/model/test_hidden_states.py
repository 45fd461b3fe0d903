"""Files of an image transformer's output: exact, and refused where they are not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from schemas.errors import CorruptInput, MissingInput
from stages.core.model.hidden_states import read_hidden, write_hidden

SHAPE = (6, 4)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_file_holds_the_numbers_exactly(tmp_path: Path, kind: torch.dtype) -> None:
    hidden = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0)).to(kind)
    write_hidden(tmp_path / "frame.safetensors", hidden[1])
    found = read_hidden(tmp_path / "frame.safetensors", SHAPE)
    assert found.dtype == kind
    assert torch.equal(found, hidden[1])
    assert [path.name for path in tmp_path.iterdir()] == ["frame.safetensors"]
    bytes_of_numbers = SHAPE[0] * SHAPE[1] * kind.itemsize
    assert (tmp_path / "frame.safetensors").stat().st_size < bytes_of_numbers + 200


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.safetensors"
    with pytest.raises(MissingInput):
        read_hidden(path, SHAPE)
    for content in (b"", b"none of it", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(CorruptInput, match="is damaged; rerun tgl ground --keep-features"):
            read_hidden(path, SHAPE)
    for other in (
        {"last_hidden_state": torch.zeros(4, 6)},
        {"last_hidden_state": torch.zeros(SHAPE, dtype=torch.int64)},
        {"another": torch.zeros(SHAPE)},
    ):
        save_file(other, path)
        with pytest.raises(CorruptInput, match="not hold the features of a frame, 6 x 4 numbers"):
            read_hidden(path, SHAPE)
    path.write_bytes(bytes(100_000))
    with pytest.raises(CorruptInput, match="larger than the features of a frame"):
        read_hidden(path, SHAPE)
