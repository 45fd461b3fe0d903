"""Actions on a sentence: undo and redo, sources, and the way through the log and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_mini import LENGTHS, write_index

from schemas.errors import CorruptInput, MissingInput
from schemas.vocabulary import DONE, TODO
from stages.core.browser.content import Refused
from stages.core.index.index import Index
from stages.tools.annotate.log import Line, Reader, encode_line
from stages.tools.annotate.marks import Action, History, Lane, Marks, empty_marks
from stages.tools.annotate.records import Replay, Sentences
from stages.tools.annotate.requests import parse_action

FRAMES = LENGTHS["a"]
SOURCES = {"s0": "visibility"}
BOTH = 1
"""Number of the sentence with two referents."""


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Sentences:
    """The sentences of a small index."""
    return Sentences(Index.open(write_index(tmp_path_factory.mktemp("marks") / "index")))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log."""
    return tmp_path_factory.mktemp("marks") / "log.jsonl"


spans = st.lists(
    st.integers(0, FRAMES - 1).flatmap(
        lambda start: st.integers(start + 1, FRAMES).map(lambda end: [start, end])
    ),
    max_size=4,
)
requests = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("spans"),
            "referent": st.integers(0, 1),
            "spans": spans,
            "from": st.sampled_from([None, "s0"]),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("status"), "value": st.sampled_from([TODO, DONE])}),
    st.fixed_dictionaries({"kind": st.just("flag"), "value": st.booleans()}),
    st.fixed_dictionaries({"kind": st.just("note"), "value": st.text(max_size=5)}),
    st.fixed_dictionaries({"kind": st.sampled_from(["undo", "redo"])}),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(requests, st.floats(0, 100)), max_size=25))
def test_a_log_leads_to_the_state_that_the_actions_made(
    path: Path, sentences: Sentences, actions: list[tuple[dict[str, Any], float]]
) -> None:
    """The model is a list of states and a place in it."""
    history, lines = sentences.new_history(BOTH), [encode_line(1, HEADER)]
    states, place = [history.now], 0
    impossible: set[str] = set()
    for request, seconds in actions:
        try:
            action = parse_action({**request, "seconds": seconds}, history, FRAMES, SOURCES)
        except Refused:  # nothing to undo or redo, or a referent is not marked
            impossible.add(request["kind"])
            continue
        record = sentences.record(BOTH, history.revision, action)
        lines.append(encode_line(len(lines) + 1, record))
        history.apply(action)
        if request["kind"] == "undo":
            place -= 1
        elif request["kind"] == "redo":
            place += 1
        else:
            states, place = [*states[: place + 1], history.now], place + 1
        assert history.now == states[place]
        assert (bool(history.past), bool(history.future)) == (place > 0, place < len(states) - 1)
    assert impossible <= {"undo", "redo", "status"}
    replay = Replay(sentences, "log.jsonl")
    path.write_bytes(b"".join(lines))
    replay.extend(Reader(path).follow())
    found = replay.histories.get(BOTH) or sentences.new_history(BOTH)
    assert found.now == history.now
    assert (found.past, found.future) == (history.past, history.future)
    assert found.revision == history.revision == len(lines) - 1
    assert found.seconds == pytest.approx(history.seconds, abs=1e-3 * len(lines))


HEADER = {"format": "tgl-annotation-log", "version": 1}


def test_spans_are_sorted_and_those_that_touch_are_one() -> None:
    history = History(empty_marks(1))
    request = {"kind": "spans", "referent": 0, "spans": [[5, 7], [0, 2], [2, 3], [6, 8]]}
    action = parse_action(request, history, FRAMES, SOURCES)
    assert action.value == ((0, 3), (5, 8))


def test_a_lane_tells_where_its_spans_are_from() -> None:
    history = History(empty_marks(1))
    for action, source in (
        (Action("spans", ((0, 2),), source="visibility"), "visibility"),
        (Action("spans", ((0, 3),)), "visibility, edited"),
        (Action("spans", ((0, 4),)), "visibility, edited"),
        (Action("undo"), "visibility, edited"),
        (Action("undo"), "visibility"),
        (Action("spans", (), source="ben"), "ben"),
        (Action("redo"), None),
    ):
        if source is None:
            with pytest.raises(ValueError, match="nothing"):
                history.apply(action)
            continue
        history.apply(action)
        lane = history.now.lanes[0]
        assert lane is not None
        assert lane.source == source


def test_done_needs_every_referent() -> None:
    history = History(Marks((Lane(()), None)))
    with pytest.raises(Refused, match="referent 2 is not marked yet"):
        parse_action({"kind": "status", "value": DONE}, history, FRAMES, SOURCES)
    parse_action({"kind": "status", "value": TODO}, history, FRAMES, SOURCES)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"kind": "spam"},
        {"kind": ["spans"]},
        {"kind": "flag", "value": 1},
        {"kind": "flag"},
        {"kind": "status", "value": "finished"},
        {"kind": "status", "value": ["done"]},
        {"kind": "note", "value": "x" * 2001},
        {"kind": "note", "value": None},
        {"kind": "flag", "value": True, "more": 1},
        {"kind": "flag", "value": True, "seconds": "1"},
        {"kind": "flag", "value": True, "seconds": True},
        {"kind": "flag", "value": True, "seconds": float("nan")},
        {"kind": "spans", "spans": []},
        {"kind": "spans", "referent": 1, "spans": []},
        {"kind": "spans", "referent": -1, "spans": []},
        {"kind": "spans", "referent": True, "spans": []},
        {"kind": "spans", "referent": 0, "spans": "ab"},
        {"kind": "spans", "referent": 0, "spans": None},
        {"kind": "spans", "referent": 0, "spans": [[0, 9]]},
        {"kind": "spans", "referent": 0, "spans": [[-1, 2]]},
        {"kind": "spans", "referent": 0, "spans": [[2, 2]]},
        {"kind": "spans", "referent": 0, "spans": [[0, 1.0]]},
        {"kind": "spans", "referent": 0, "spans": [[True, 2]]},
        {"kind": "spans", "referent": 0, "spans": [[0, 1, 2]]},
        {"kind": "spans", "referent": 0, "spans": [[0, 1]] * 9},
        {"kind": "spans", "referent": 0, "spans": [], "from": "s1"},
        {"kind": "spans", "referent": 0, "spans": [], "from": ["s0"]},
    ],
    ids=str,
)
def test_what_is_no_action_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        parse_action(request_, History(empty_marks(1)), FRAMES, SOURCES)
    assert refused.value.status == 400
    assert "\n" not in refused.value.body["error"]


def test_seconds_are_bounded_and_notes_are_text() -> None:
    history = History(empty_marks(1))
    long = parse_action({"kind": "flag", "value": True, "seconds": 1e300}, history, 8, {})
    assert long.seconds == 3600
    note = parse_action({"kind": "note", "value": "\ud800\x00"}, history, 8, {})
    assert note.value == "?\x00"


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 1},
        {"kind": "spam"},
        {"kind": "undo"},
        {"kind": "flag", "value": None},
        {"referent": "a_9"},
        {"seconds": "x"},
        {"value": [[1]]},
        {"video": ["a"]},
    ],
    ids=str,
)
def test_a_line_that_is_no_next_action_is_named(
    sentences: Sentences, change: dict[str, Any]
) -> None:
    record = sentences.record(BOTH, 0, Action("spans", ((0, 2),), lane=1)) | change
    with pytest.raises(CorruptInput, match=r"log\.jsonl, line 7: is not an action that fits"):
        Replay(sentences, "log.jsonl").extend([Line(7, record)])


def test_an_action_stays_with_its_sentence(sentences: Sentences, tmp_path: Path) -> None:
    """Sentences may be added and masks corrected; what was marked must be as it was."""
    records = [sentences.record(n, 0, Action("flag", True)) for n in range(len(sentences.all))]
    lines = [Line(n + 2, record) for n, record in enumerate(records)]
    texts = {"0": ("the left square", (0,)), "1": ("both squares", (0, 1)), "9": ("new", (1,))}
    for name, changes, line, how in (
        ("grown", {"lengths": {"c": 3, **LENGTHS}}, None, ""),
        ("unmasked", {"masks": False}, None, ""),
        ("fewer", {"sentences": texts}, 4, "lacks video a, expression 2"),
        ("shorter", {"lengths": {"a": 7, "b": 6}}, 2, "has with another text, referents or frames"),
        ("video", {"lengths": {"b": 6}}, 2, "lacks video a, expression 0"),
        (
            "words",
            {"sentences": {**texts, "1": ("both", (0, 1))}},
            3,
            "has with another text, referents or frames video a, expression 1",
        ),
        ("things", {"sentences": {**texts, "0": ("the left square", (1,))}}, 2, "has with another"),
    ):
        other = Sentences(Index.open(write_index(tmp_path / name, **changes)))
        replay = Replay(other, "log.jsonl", "first")
        if line is None:
            replay.extend(lines)
            assert len(replay.histories) == len(records)
            continue
        expected = (
            rf"log\.jsonl, line {line}: was made for the index first; the index .*{name} {how}"
        )
        with pytest.raises(MissingInput, match=expected):
            replay.extend(lines)
