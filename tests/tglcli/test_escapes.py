"""Names and sentences of strangers reach no terminal raw, whatever command meets them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from mistakes_world import tgl

from schemas.layouts import EXPRESSIONS_TABLE, MOMENTS_TABLE, RECEIPT_FILE, WEIGHTS_FILE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MOMENTS

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\nfake: line\r\u202egpj"
"""A title, a cleared screen, a colour, another line, and a text from right to left."""
LONG = "x" * 5000
PLANTED = {"acts": EVIL, "long": LONG}
NAME = EVIL.replace("/", "").replace("\n", "")
RAW = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All that a terminal acts on but for the line's end."""
LONGEST = 1300
FORMATS = {
    "m.csv": "video_id,expression_id,start,end\n{0},{0},0,1\n",
    "m.txt": "{0} 0 1##{0}\n",
    "m.jsonl": '{{"qid": 1, "vid": {1}, "query": {1}, "relevant_windows": [[0, 1]]}}\n',
    "m.json": '{{"format": {1}, "version": {1}, "videos": {{{1}: {1}}}}}',
}


@pytest.fixture
def own(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small folder, to be spoilt."""
    folder = tmp_path / "own"
    for name in ("index", "frames", "preds", "text", "ck", "toy/valid"):
        shutil.copytree(world / name, folder / name)
    shutil.copy(world / "m.csv", tmp_path)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(params=PLANTED)
def planted(request: pytest.FixtureRequest) -> str:
    """What is planted."""
    return PLANTED[request.param]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """`said("check", "index")`: the exit code of a command all of whose lines are safe."""

    def run(*words: str) -> int:
        capfd.readouterr()
        code = tgl(words, monkeypatch)
        printed = capfd.readouterr()
        lines = (printed.out + printed.err).splitlines()
        raw = [line for line in lines if RAW.search(line) or len(line) > LONGEST]
        assert not raw, raw
        assert lines
        assert not any(line.startswith("fake") for line in lines)
        assert "Traceback" not in printed.err
        return code

    return run


def plant(path: Path, spec, column: str, text: str) -> None:
    """Set a column of a table's first row."""
    rows = read_table(path, spec).to_pylist()
    rows[0][column] = [text] if isinstance(rows[0][column], list) else text
    write_table(path, rows_of(rows, spec), spec)


@pytest.mark.parametrize("column", ["expression", "expression_id", "video_id", "anno_ids"])
def test_expressions_of_an_index(own: Path, said, planted: str, column: str) -> None:
    plant(own / "index" / EXPRESSIONS_TABLE, EXPRESSIONS, column, planted)
    for words in (
        ("check", "index"),
        ("describe", "index", "--against", str(own.parent / "m.csv")),
        ("propagate", "index", "text", "ck", "out"),
        ("score", "preds", "index", "--workers", "1", "--images", "-1"),
        ("render", "preds", "index", "out", "--workers", "1", "--format", "sheet", "--limit", "1"),
        ("export-moments", "index", "m.csv", "--moments-format", "csv"),
    ):
        said(*words)


@pytest.mark.parametrize("column", ["expression_id", "video_id", "anno_id", "source"])
def test_moments_of_an_index(own: Path, said, planted: str, column: str) -> None:
    plant(own / "index" / MOMENTS_TABLE, MOMENTS, column, planted)
    said("check", "index")
    said("describe", "index", "--against", str(own.parent / "m.csv"))
    said("export-moments", "index", "m.csv", "--moments-format", "csv")


@pytest.mark.parametrize("name", FORMATS)
def test_moments_files(own: Path, said, planted: str, name: str) -> None:
    text = FORMATS[name].format(planted.replace("\n", " "), json.dumps(planted))
    (own / name).write_text(text, encoding="utf-8")
    assert said("build-moments", "toy/valid", "out", "--moments", name) != 0


def test_a_data_set(own: Path, said, planted: str) -> None:
    path = own / "toy/valid/meta_expressions.json"
    for place in ("video", "expression", "anno", "frame"):
        document = json.loads((own / "toy/valid/meta_expressions.json").read_text())
        name, video = next(iter(document["videos"].items()))
        key, expression = next(iter(video["expressions"].items()))
        if place == "video":
            document["videos"][planted] = document["videos"].pop(name)
        elif place == "expression":
            video["expressions"][planted] = video["expressions"].pop(key)
        elif place == "anno":
            expression["anno_id"] = [planted]
        else:
            video["frames"][0] = planted
        before = path.read_text()
        path.write_text(json.dumps(document))
        said("build-moments", "toy/valid", "out")
        said("check", "toy/valid")
        said("submit", "preds", "--meta", str(path), "-o", "x.zip")
        path.write_text(before)


def test_names_of_files(own: Path, said) -> None:
    (own / f"{NAME}.mp4").write_bytes(b"no video")
    assert said("extract-frames", f"{NAME}.mp4", "out") != 0
    assert said("segment", f"{NAME}.mp4", "a ball", "-o", "x.mp4") != 0
    assert said("check", NAME) != 0
    (own / "preds" / NAME / NAME).mkdir(parents=True)
    (own / "preds" / NAME / NAME / f"{NAME}.png").write_bytes(b"")
    said("score", "preds", "index", "--workers", "1", "--images", "-1")
    said("check", "preds")
    (own / "preds" / "summary.json").write_text("{}")
    shutil.move("preds", NAME)
    said("table", NAME)
    said("score", NAME, "nowhere")


def test_a_checkpoint_and_a_receipt(own: Path, said, planted: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(own / "ck" / WEIGHTS_FILE)
    weights[planted] = weights.pop(next(iter(weights)))
    save_file(weights, own / "ck" / WEIGHTS_FILE)
    assert said("propagate", "index", "text", "ck", "out") != 0
    said("check", "ck")
    receipt = json.loads((own / "index" / RECEIPT_FILE).read_text()) | {"stage": planted}
    (own / "index" / RECEIPT_FILE).write_text(json.dumps(receipt))
    assert said("table", "index") != 0
    said("check", "index")


def test_what_is_typed(said, own: Path) -> None:
    for words in (
        ("toy", "out", f"--{EVIL}"),
        ("toy", "out", "--size", EVIL),
        ("toy", "out", "--style", EVIL),
        ("toy", "out", EVIL),
        (EVIL,),
        ("render", "preds", "index", "out", "--only", EVIL),
        ("propagate", "index", "text", "ck", "out", "--moments", EVIL),
        ("precompute-text", "index", "out", "--encoder", EVIL),
        ("segment", "clip.mp4", "--box", EVIL, "-o", "x.mp4"),
        ("segment", "clip.mp4", "--mask", EVIL, "-o", "x.mp4"),
        ("segment", "clip.mp4", EVIL, "-o", "x.mp4", "--model", EVIL),
        ("segment", "frames/JPEGImages/valid_0000", "--point", f"{EVIL}:999,1", "-o", "x.mp4"),
        ("toy", "out", f"--{LONG}"),
        (LONG,),
    ):
        assert said(*words) != 0
