"""The real server process: killed, restarted, used by several people, and what it leaves."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra tgl[browser] is not installed")
from command_line import run_tgl
from index_mini import write_index
from serving import Served

from schemas.errors import MissingInput
from schemas.parquet import read_table
from schemas.receipts import read_receipt
from schemas.tables import ANNOTATIONS, MOMENTS
from stages.core.engine.progress import SilentProgress
from stages.tools.annotate.config import AnnotateConfig
from stages.tools.annotate.run import AnnotateInputs, workbench

Start = Callable[..., Served]
ONE, BOTH, NONE = 0, 1, 2
"""Numbers of the sentences of video a: with one referent, with two, with none."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an index."""
    write_index(tmp_path / "index")
    return tmp_path


@pytest.fixture
def start(python: list[str], folder: Path) -> Iterator[Start]:
    """Start annotate in the folder; what a test leaves running is killed."""
    started: list[Served] = []

    def begin(*words: object, command: tuple[str, ...] = ("annotate", "index", "out")) -> Served:
        started.append(Served(python, folder, *command, *words))
        return started[-1]

    yield begin
    for served in started:
        if served._process.poll() is None:
            served.kill()


def refused(folder: Path, *words: object) -> tuple[int, str]:
    """Exit code and standard error of a command in a folder."""
    done = run_tgl(*words, cwd=folder)
    return done.returncode, done.stderr


def spans_action(revision: int, spans: list[list[int]]) -> dict[str, Any]:
    """An action that marks the first referent."""
    return {"kind": "spans", "revision": revision, "referent": 0, "spans": spans}


def mark(served: Served, sentence: int, *spans: list[list[int]]) -> Any:
    """Mark the referents of a sentence and finish it."""
    state = served.get(f"/api/sentence/{sentence}")
    for lane, found in enumerate(spans):
        state = served.act(sentence, state["revision"], kind="spans", referent=lane, spans=found)
    return served.act(sentence, state["revision"], kind="status", value="done")


def moments(folder: Path) -> list[tuple[Any, ...]]:
    """Rows of the moments of an annotator's folder."""
    rows = read_table(folder / "moments.parquet", MOMENTS).to_pylist()
    assert {row["source"] for row in rows} <= {"annotated"}
    assert {row["score"] for row in rows} <= {None}
    names = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame")
    return [tuple(row[name] for name in names) for row in rows]


def annotations(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of the annotations of an annotator's folder by sentence."""
    rows = read_table(folder / "annotations.parquet", ANNOTATIONS).to_pylist()
    return {(row["video_id"], row["expression_id"]): row for row in rows}


def test_nothing_is_lost_by_a_kill(start: Start, folder: Path) -> None:
    own = folder / "out/anna"
    served = start("--annotator", "anna")
    mark(served, BOTH, [[2, 5]], [])
    state = served.act(ONE, 0, kind="spans", referent=0, spans=[[0, 1], [3, 4]])
    state = served.act(ONE, 1, kind="note", value="the mask is wrong")
    served.kill()
    with (own / "log.jsonl").open("ab") as log:
        log.write(b'{"line":7,"time":"2026-')  # and power fails while a line is written

    served = start("--annotator", "anna")
    assert served.get(f"/api/sentence/{ONE}") == state
    both = [("a", "1", "a_0", 2, 5), ("a", "1", "a_1", 0, 0)]
    assert moments(own) == both  # written before the server answers
    undone = served.act(ONE, 2, kind="undo")
    assert (undone["note"], undone["undo"], undone["redo"]) == ("", True, True)
    served.kill()
    served = start("--annotator", "anna")
    again = served.act(ONE, 3, kind="redo")
    assert again["note"] == "the mask is wrong"
    assert again["seconds"] == 6.0
    code, out, error = served.end()
    assert (code, error) == (0, "")
    assert out == (
        "annotate: 6 sentences, 1 sentence done, 1 sentence exported, 1 moment, 1 never true "
        "-> out/anna\n"
    )


def test_a_torn_line_is_told_and_damage_refused(start: Start, folder: Path) -> None:
    served = start("--annotator", "anna")
    served.act(ONE, 0, kind="flag", value=True)
    served.kill()
    log = folder / "out/anna/log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"line":3,')
    served = start("--annotator", "anna")
    served.act(ONE, 1, kind="flag", value=False)
    _, _, error = served.end()
    assert error == (
        "warning: out/anna/log.jsonl: cut off 10 bytes of an action that was not written "
        "completely; the 1 before it are kept\n"
    )
    spoilt = log.read_bytes().replace(b'"value":true', b'"value":null')
    log.write_bytes(spoilt)
    failed = refused(folder, "annotate", "index", "out", "--annotator", "anna")
    assert failed == (
        5,
        "error: out/anna/log.jsonl, line 2: is damaged; restore the file from a copy\n",
    )
    assert log.read_bytes() == spoilt


def test_two_windows_of_one_annotator(start: Start) -> None:
    served = start("--annotator", "anna")
    first = served.act(ONE, 0, kind="spans", referent=0, spans=[[1, 3]])
    stale = {"revision": 0, "kind": "spans", "referent": 0, "spans": []}
    status, answer = served.request("POST", f"/api/sentence/{ONE}/actions", stale)
    assert status == 409
    assert answer == {"error": "the sentence was changed in another window", "current": first}
    assert served.get(f"/api/sentence/{ONE}") == first
    served.act(BOTH, 0, kind="flag", value=True)  # another sentence is not stale


def test_a_second_process_is_refused_and_another_annotator_is_not(
    start: Start, folder: Path
) -> None:
    first = start("--annotator", "anna")
    failed = refused(folder, "annotate", "index", "out", "--annotator", "anna")
    assert failed == (
        6,
        "error: out/anna: another tgl run is writing this; wait for it, or stop it\n",
    )
    mark(first, ONE, [[1, 3]])
    second = start("--annotator", "ben")
    lanes = second.get("/api/session")["sources"]
    assert lanes == [{"id": "s0", "name": "anna", "kind": "annotator"}]
    assert second.get(f"/api/sentence/{ONE}")["lanes"] == {"s0": [[[1, 3]]]}
    assert second.get(f"/api/sentence/{BOTH}")["lanes"] == {}
    mark(first, BOTH, [[0, 2]], [])  # seen as soon as it is done
    assert second.get(f"/api/sentence/{BOTH}")["lanes"] == {"s0": [[[0, 2]], []]}
    state = second.act(ONE, 0, kind="spans", referent=0, spans=[[1, 3]], **{"from": "s0"})
    second.act(ONE, state["revision"], kind="status", value="done")
    second.end()
    first.end()
    assert moments(folder / "out/anna") == [
        ("a", "0", "a_0", 1, 3),
        ("a", "1", "a_0", 0, 2),
        ("a", "1", "a_1", 0, 0),
    ]
    assert moments(folder / "out/ben") == [("a", "0", "a_0", 1, 3)]
    assert annotations(folder / "out/ben")["a", "0"]["sources"] == ["anna"]
    assert annotations(folder / "out/anna")["a", "0"]["sources"] == ["drawn"]


def test_blind_sees_nothing_of_others(start: Start, folder: Path) -> None:
    first = start("--annotator", "anna")
    mark(first, ONE, [[1, 3]])
    first.act(ONE, 2, kind="note", value="secret-note")
    blind = start("--annotator", "ben", "--blind", "--proposals", "visibility")
    answers = [blind.get("/api/session"), blind.get("/api/sentences")]
    answers += [blind.get(f"/api/sentence/{n}") for n in range(6)]
    assert answers[0]["blind"] is True
    assert [source["name"] for source in answers[0]["sources"]] == ["visibility"]
    for answer in answers:
        assert "anna" not in str(answer)
        assert "secret-note" not in str(answer)
    assert answers[2]["lanes"] == {"s0": [[[1, 7]]]}
    hidden = (
        "annotate",
        "index",
        "out",
        "--annotator",
        "cai",
        "--blind",
        "--proposals",
        "out/anna",
    )
    code, error = refused(folder, *hidden)
    assert code == 2
    assert error == (
        "error: --blind: the proposals are another annotator's work, which --blind hides\n"
    )


def test_two_annotators_are_adjudicated(start: Start, folder: Path) -> None:
    for name, spans in (
        ("anna", ([[0, 4]], [[0, 4]], [[5, 6]])),
        ("ben", ([[0, 4]], [[4, 8]], [[5, 6]])),
    ):
        served = start("--annotator", name, "--blind")
        mark(served, ONE, spans[0])
        mark(served, BOTH, *spans[1:])
        if name == "anna":
            mark(served, NONE, [])
        served.end()
    judge = (
        "annotate",
        "index",
        "out",
        "--annotator",
        "judge",
        "--adjudicate",
        "out/anna",
        "out/ben",
    )
    served = start(command=judge)
    session = served.get("/api/session")
    assert session["mode"] == "adjudicate"
    assert session["sources"] == [
        {"id": "s0", "name": "anna", "kind": "choice"},
        {"id": "s1", "name": "ben", "kind": "choice"},
    ]
    rows = served.get("/api/sentences")["rows"]
    assert [(row[7], row[6]) for row in rows[:3]] == [(BOTH, 0.5), (ONE, 1.0), (NONE, None)]
    lanes = served.get(f"/api/sentence/{BOTH}")["lanes"]
    assert lanes == {"s0": [[[0, 4]], [[5, 6]]], "s1": [[[4, 8]], [[5, 6]]]}
    assert served.get(f"/api/sentence/{NONE}")["lanes"] == {"s0": [[]]}
    served.act(BOTH, 0, kind="spans", referent=0, spans=[[4, 8]], **{"from": "s1"})
    served.act(BOTH, 1, kind="spans", referent=1, spans=[[5, 7]])
    served.act(BOTH, 2, kind="status", value="done")
    served.end()
    assert annotations(folder / "out/judge")["a", "1"]["sources"] == ["ben", "drawn"]
    assert moments(folder / "out/judge") == [("a", "1", "a_0", 4, 8), ("a", "1", "a_1", 5, 7)]
    failed = refused(folder, "annotate", "index", "out", "--annotator", "judge")
    assert failed == (
        6,
        "error: out/judge: was begun with tgl annotate --adjudicate; name another --annotator\n",
    )
    own = ("annotate", "index", "out", "--annotator", "anna", "--adjudicate", "out/anna", "out/ben")
    assert refused(folder, *own) == (
        6,
        "error: out/anna: is an input of this command; name another output\n",
    )


def test_never_is_told_from_not_annotated_and_flags_are_left_out(
    start: Start, folder: Path
) -> None:
    served = start("--annotator", "anna")
    mark(served, BOTH, [], [[0, 8]])
    mark(served, NONE, [])
    mark(served, ONE, [[2, 3]])
    served.act(ONE, 2, kind="flag", value=True)
    _, out, _ = served.end()
    assert out == (
        "annotate: 6 sentences, 3 sentences done, 1 sentence flagged, 2 sentences exported, "
        "1 moment, 2 never true -> out/anna\n"
    )
    own = folder / "out/anna"
    assert moments(own) == [
        ("a", "1", "a_0", 0, 0),
        ("a", "1", "a_1", 0, 8),
        ("a", "2", None, 0, 0),
    ]
    found = annotations(own)
    keys = ("status", "flag", "never", "sources", "actions")
    assert {key: [row[k] for k in keys] for key, row in found.items()} == {
        ("a", "0"): ["done", True, [], ["drawn"], 3],
        ("a", "1"): ["done", False, ["a_0"], ["drawn", "drawn"], 3],
        ("a", "2"): ["done", False, [], ["drawn"], 2],
        ("b", "0"): ["todo", False, [], [""], 0],
        ("b", "1"): ["todo", False, [], ["", ""], 0],
        ("b", "2"): ["todo", False, [], [""], 0],
    }
    receipt = read_receipt(own)
    assert receipt is not None
    assert (receipt.stage, receipt.config) == ("annotate", {"annotator": "anna"})
    code, error = refused(folder, "check", "out/anna")
    assert (code, error) == (0, "")


def test_sigterm_writes_the_moments_too(start: Start, folder: Path) -> None:
    served = start("--annotator", "anna")
    mark(served, ONE, [[2, 3]])
    code, _, error = served.end(signal.SIGTERM)
    assert (code, error) == (143, "terminated; run the same command again to resume\n")
    assert moments(folder / "out/anna") == [("a", "0", "a_0", 2, 3)]


def test_only_some_sentences(folder: Path) -> None:
    def rows(*only: str) -> list[int]:
        config = AnnotateConfig(annotator="anna", only=only)
        inputs = AnnotateInputs(folder / "index")
        with workbench(config, inputs, folder / "out", SilentProgress()) as bench:
            session = bench.session
            if not only:
                session.act(ONE, spans_action(0, [[2, 3]]))
                session.act(ONE, {"kind": "status", "revision": 1, "value": "done"})
                session.act(4, {"kind": "flag", "revision": 0, "value": True})
            return [row[7] for row in session.sentences()["rows"]]

    assert rows() == [0, 1, 2, 3, 4, 5]
    assert rows("done") == [0]
    assert rows("todo") == [1, 2, 3, 4, 5]
    assert rows("flagged") == [4]
    assert rows("b") == [3, 4, 5]
    assert rows("b/1", "a/0") == [0, 4]
    with pytest.raises(
        MissingInput, match=r"--only: no video or sentence is called 'b/7'; did you"
    ):
        rows("b/7")


def test_a_body_of_100_mb_is_refused_without_being_read(start: Start) -> None:
    served = start("--annotator", "anna")
    before = peak_kilobytes(served.pid)
    megabyte, sent = b" " * 2**20, 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        head = (
            f"POST /api/sentence/0/actions HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            f"Origin: http://127.0.0.1:{served.port}\r\nAuthorization: Bearer {served._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {100 * 2**20}\r\n\r\n"
        )
        connection.sendall(head.encode())
        answer = connection.recv(2**16)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()
        try:
            while sent < 100:
                connection.sendall(megabyte)
                sent += 1
        except OSError:  # the server has closed its end
            pass
    assert sent < 100
    assert peak_kilobytes(served.pid) - before < 20_000
    assert served.get("/api/session")["annotator"] == "anna"


def peak_kilobytes(pid: int) -> int:
    """The most memory that a process had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
