"""OUT of select-moments is taken wherever a command takes moments, as its table is."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_world import TinyWorld, snapshot, tgl

COMMANDS = {
    "build-moments": ("{dataset}/train", "{out}", "--frames", "{frames}", "--moments", "{moments}"),
    "propagate": ("{index}", "{text}", "{model}", "{out}", "--moments", "{moments}"),
    "assemble": ("{index}", "{moments}", "{out}"),
    "export-moments": ("{index}", "{out}.csv", "--moments", "{moments}"),
    "describe": ("{index}", "--moments", "{moments}", "--json", "{out}.json"),
    "describe --against": ("{index}", "--against", "{moments}", "--json", "{out}.json"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_is_taken_as_its_table(tiny_world: TinyWorld, tmp_path: Path, name: str) -> None:
    made = []
    for moments in (tiny_world.chosen, tiny_world.chosen / "moments.parquet"):
        out = tmp_path / f"out{len(made)}"
        places = {part: getattr(tiny_world, part) for part in ("index", "text", "model", "frames")}
        places |= {"dataset": tiny_world.dataset, "moments": moments, "out": out / "made"}
        out.mkdir()
        words = [word.format(**places) for word in COMMANDS[name]]
        code, _, said = tgl(name.split()[0], *words, "-q")
        assert code == 0, said
        made.append({key: value for key, value in snapshot(out).items() if is_data(key)})
        for table in out.rglob("moments.parquet"):
            made[-1][table.name] = str(pq.read_table(table).to_pylist())
        document = out / "made.json"
        if document.is_file():
            made[-1]["moments"] = str(json.loads(document.read_text())["sentences"])
    assert made[0] == made[1]
    assert made[0]


def is_data(name: str) -> bool:
    """Whether a file says nothing of the inputs' names."""
    return name.endswith((".csv", ".png"))
