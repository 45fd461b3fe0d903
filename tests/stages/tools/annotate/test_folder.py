"""Whose folder OUT is, and kills at every step of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from index_mini import write_index
from killing import run_in_child

from schemas.errors import OutputBlocked, UnsafeName
from schemas.parquet import read_table
from schemas.tables import ANNOTATIONS, MOMENTS
from stages.core.engine.progress import SilentProgress
from stages.tools.annotate.config import AnnotateConfig, login_name
from stages.tools.annotate.run import AnnotateInputs, Workbench, workbench


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small index."""
    return write_index(tmp_path_factory.mktemp("folder") / "index")


@contextmanager
def opened(index: Path, out: Path, name: str = "anna") -> Iterator[Workbench]:
    config = AnnotateConfig(annotator=name)
    with workbench(config, AnnotateInputs(index), out, SilentProgress()) as bench:
        yield bench


def work(index: Path, out: Path, told: Path | None = None) -> None:
    """Go on with six actions; each is noted in `told` once it was acknowledged."""
    with opened(index, out) as bench:
        for number in range(6):
            revision = bench.session.sentence(0)["revision"]
            if revision > number:
                continue
            action = {"kind": "spans", "referent": 0, "spans": [[number, number + 1]]}
            if number == 5:
                action = {"kind": "status", "value": "done"}
            bench.session.act(0, {**action, "revision": revision})
            if told is not None:
                with told.open("a") as file:
                    file.write("x")


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_loses_nothing(index: Path, tmp_path: Path, stride: int) -> None:
    steps = run_in_child(lambda: work(index, tmp_path / "whole/out"))
    assert len(steps) > 20
    for number in range(0, len(steps), stride):
        for after in (False, True):
            root = tmp_path / f"{number}-{after}"
            root.mkdir()
            told = root / "told"
            told.touch()
            run_in_child(
                lambda root=root, told=told: work(index, root / "deep/out", told),
                kill_at=number,
                after=after,
            )
            with opened(index, root / "deep/out") as bench:
                kept = bench.session.sentence(0)["revision"]
            acknowledged = len(told.read_text())
            assert acknowledged <= kept <= acknowledged + 1, steps[number]
            work(index, root / "deep/out")
            own = root / "deep/out/anna"
            names = sorted(path.name for path in own.iterdir())
            assert names == ["annotations.parquet", "log.jsonl", "moments.parquet", "receipt.json"]
            (row,) = read_table(own / "moments.parquet", MOMENTS).to_pylist()
            assert (row["start_frame"], row["end_frame"]) == (4, 5)
            assert read_table(own / "annotations.parquet", ANNOTATIONS).num_rows == 6
            shutil.rmtree(root)


def _file(out: Path) -> None:
    out.write_text("mine")


def _other_files(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("mine")


def _other_folder(out: Path) -> None:
    (out / "photos").mkdir(parents=True)
    (out / "photos/1.jpg").write_text("mine")


def _own_name(out: Path) -> None:
    (out / "anna").mkdir(parents=True)
    (out / "anna/1.jpg").write_text("mine")


def _artifact(out: Path) -> None:
    work(write_index(out.with_name("other")), out.with_name("there"))
    out.with_name("there").joinpath("anna").rename(out)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (_file, "out: is a file, the output is a folder; name another output"),
        (_other_files, r"out: contains files that tgl annotate did not write \(thesis.tex\); name"),
        (_other_folder, r"contains files that tgl annotate did not write \(photos\); name another"),
        (_own_name, r"contains files that tgl annotate did not write \(anna\); name another"),
        (_artifact, r"out: is the folder of one annotator; name the folder above it, "),
    ],
)
def test_what_is_not_an_annotators_is_refused(
    index: Path, tmp_path: Path, fill: Callable[[Path], None], message: str
) -> None:
    fill(tmp_path / "out")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*"))
    with pytest.raises(OutputBlocked, match=message), opened(index, tmp_path / "out"):
        pass
    after = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*"))
    assert before == after


def test_no_output_in_or_above_the_index(tmp_path: Path) -> None:
    index = write_index(tmp_path / "data/index")
    for out, name, message in (
        (index, "anna", "lies inside the input"),
        (tmp_path, "data", "contains the input"),
        (tmp_path / "data", "index", "is an input of this command"),
    ):
        with pytest.raises(OutputBlocked, match=message), opened(index, out, name):
            pass
    assert not (index / "anna").exists()


@pytest.mark.parametrize("name", ["../anna", "a/b", ".hidden", "", "con", "a\nb", "x" * 300])
def test_a_name_is_the_name_of_a_folder(index: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeName, match="--annotator"), opened(index, tmp_path / "out", name):
        pass
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("login", "name"), [("anna", "anna"), ("a.n/../na", "a_n____na"), ("", "annotator")]
)
def test_a_login_name_is_made_safe(monkeypatch: pytest.MonkeyPatch, login: str, name: str) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: login)
    assert login_name() == name
