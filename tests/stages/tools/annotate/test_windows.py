"""Several windows of one annotator at once: no action is lost, none is applied to what it did not
see."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from index_mini import write_index

from stages.core.browser.content import CONFLICT, Refused
from stages.core.engine.progress import SilentProgress
from stages.tools.annotate.config import AnnotateConfig
from stages.tools.annotate.log import Reader
from stages.tools.annotate.run import AnnotateInputs, workbench
from stages.tools.annotate.session import Session

WINDOWS, ACTIONS = 6, 15
SENTENCES = (0, 3)


def window(session: Session, name: int) -> tuple[int, int]:
    """Append its name to the notes so often, looking again at what it is refused; both counts."""
    stored = refused = 0
    for turn in range(ACTIONS):
        number = SENTENCES[turn % len(SENTENCES)]
        state: Mapping[str, Any] = session.sentence(number)
        while True:
            note = f"{state['note']}{name},"
            action = {"kind": "note", "revision": state["revision"], "value": note, "seconds": 1}
            try:
                session.act(number, action)
            except Refused as error:
                assert error.status == CONFLICT, error  # noqa: PT017 (the others go on)
                state = error.body["current"]
                refused += 1
            else:
                stored += 1
                break
    return stored, refused


def test_windows_do_not_lose_each_others_work(tmp_path: Path) -> None:
    inputs = AnnotateInputs(write_index(tmp_path / "index"))
    config, out = AnnotateConfig(annotator="anna"), tmp_path / "out"
    with workbench(config, inputs, out, SilentProgress()) as bench:
        with ThreadPoolExecutor(WINDOWS) as pool:
            counts = list(pool.map(lambda name: window(bench.session, name), range(WINDOWS)))
        states = [bench.session.sentence(number) for number in SENTENCES]
    assert [stored for stored, _ in counts] == [ACTIONS] * WINDOWS
    notes = [state["note"].rstrip(",").split(",") for state in states]
    assert sum(map(len, notes)) == WINDOWS * ACTIONS
    for name in range(WINDOWS):  # nobody's note was written over
        assert sum(found.count(str(name)) for found in notes) == ACTIONS
    assert [state["revision"] for state in states] == [len(found) for found in notes]
    assert sum(state["seconds"] for state in states) == WINDOWS * ACTIONS
    records = [line.record for line in Reader(out / "anna/log.jsonl").follow()]
    assert len(records) == WINDOWS * ACTIONS
    with workbench(config, inputs, out, SilentProgress()) as bench:
        assert [bench.session.sentence(number) for number in SENTENCES] == states
