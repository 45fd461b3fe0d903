"""Truth and predictions as the page gets them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra tgl[browser] is not installed")
from index_mini import HEIGHT, LENGTHS, SCRIPT, WIDTH, mask_of, write_frames, write_index
from serving import Served

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.layouts import PROPAGATION_TABLE, SCORE_FRAMES_TABLE, SCORES_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import PROPAGATION, SCORE_FRAMES, SCORES
from stages.core.browser.content import Refused
from stages.core.media.mask_png import write_mask
from stages.core.media.rle import Rle, decode
from stages.tools.view.config import ViewConfig, ViewInputs
from stages.tools.view.run import open_session
from stages.tools.view.session import ViewSession

MOMENTS: Any = {("a", "1", "a_0"): [(2, 5)], ("a", "1", None): [(0, 1)]}
SEEN = {("a", "0"): (1, 4), ("b", "1"): (0, 6), ("b", "2"): (0, 0)}
"""Frames whose predicted mask is not empty, by sentence; the others have none."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with moments of one sentence."""
    return write_index(tmp_path_factory.mktemp("view") / "index", moments=MOMENTS)


@pytest.fixture(scope="module")
def preds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of three sentences, without a table."""
    root = tmp_path_factory.mktemp("view") / "preds"
    for (video, name), (start, end) in SEEN.items():
        folder = root / video / name
        folder.mkdir(parents=True)
        for frame in range(LENGTHS[video] - 1):  # the last frame has no file
            mask = mask_of(0) if start <= frame < end else np.zeros((HEIGHT, WIDTH), bool)
            write_mask(folder / f"{frame:05d}.png", mask)
    return root


def opened(
    frames: Path,
    *preds: Path,
    scores: tuple[Path, ...] = (),
    only: Any = (),
    warn: Callable[[str], None] = pytest.fail,
) -> ViewSession:
    return open_session(ViewConfig(only=only), ViewInputs(frames, preds, scores), warn)


def predicted(session: ViewSession, sentence: int, number: int = 0) -> Any:
    state = session.sentence(sentence)
    json.dumps(state, allow_nan=False)
    return state["predictions"][number]


def write_routes(preds: Path, frames: int = 8) -> None:
    """The table of propagate for a/0; its areas differ from the masks."""
    rows = [
        {
            "video_id": "a",
            "expression_id": "0",
            "frame": frame,
            "route": "language" if frame < 3 else "propagated",
            "relevance": None if frame == 7 else frame / 8,
            "object_score": 1.0,
            "mask_area": 9 * (frame < 2),
        }
        for frame in range(frames)
    ]
    write_table(preds / PROPAGATION_TABLE, rows_of(rows, PROPAGATION), PROPAGATION)


def write_scores(folder: Path, scores: dict[tuple[str, str], float]) -> Path:
    """OUT of score for some sentences, the first frame of each without a score."""
    folder.mkdir()
    rows, frames = [], []
    for (video, name), value in scores.items():
        key = {"video_id": video, "expression_id": name}
        facts = {"J": value, "F": math.nan, "JF": value, "frames": LENGTHS[video], "referents": 1}
        rows.append({**key, **facts})
        numbers = {"J": value, "F": math.nan, "intersection": 0, "union": 1}
        frames += [{**key, "frame": frame, **numbers} for frame in range(1, LENGTHS[video])]
    write_table(folder / SCORES_TABLE, rows_of(rows, SCORES), SCORES)
    write_table(folder / SCORE_FRAMES_TABLE, rows_of(frames, SCORE_FRAMES), SCORE_FRAMES)
    return folder


def test_truth(index: Path) -> None:
    session = opened(index)
    state = session.sentence(1)
    assert state["truth"] is True
    assert state["referents"] == [
        {"id": "a_0", "visible": ((1, 7),), "spans": [(0, 1), (2, 5)], "decided": True},
        {"id": "a_1", "visible": ((0, 8),), "spans": [(0, 1)], "decided": True},
    ]
    assert state["predictions"] == []
    unknown = session.sentence(5)
    assert unknown["text"] == SCRIPT
    assert unknown["referents"] == [{"id": None, "visible": [], "spans": [], "decided": False}]
    masks = session.masks(0, 1, 0, 0, 3)["frames"]
    assert sorted(masks) == [1, 2]
    rle = Rle(size=[HEIGHT, WIDTH], counts=masks[1].encode())
    assert np.array_equal(decode(rle, where="") > 0, mask_of(0))


def test_predictions_of_a_bare_folder(index: Path, preds: Path) -> None:
    session = opened(index, preds)
    found = predicted(session, 0)
    assert found == {
        "present": [(1, 4)],
        "route": None,
        "relevance": None,
        "j": None,
        "f": None,
        "scores": None,
    }
    assert predicted(session, 5)["present"] == []
    assert predicted(session, 1) is None
    frames = session.prediction_masks(0, 0, 0, 64)["frames"]
    assert sorted(frames) == [1, 2, 3]
    rle = Rle(size=[HEIGHT, WIDTH], counts=frames[1].encode())
    assert np.array_equal(decode(rle, where="") > 0, mask_of(0))


def test_routes_relevance_and_scores(index: Path, preds: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.symlink_to(preds)
    (tmp_path / "run").mkdir()
    for path in preds.iterdir():
        (tmp_path / "run" / path.name).symlink_to(path)
    write_routes(tmp_path / "run")
    scores = write_scores(tmp_path / "scores", {("a", "0"): 0.75, ("b", "1"): 0.25})
    session = opened(index, tmp_path / "run", own, scores=(scores,))
    assert [row[6:] for row in session.sentences()["rows"]] == [
        [0.25, 4, None],
        [0.75, 0, None],
        *([None, number, None] for number in (1, 2, 3, 5)),
    ]
    first = predicted(session, 0)
    assert first["present"] == [(0, 2)]
    assert first["route"] == ["language"] * 3 + ["propagated"] * 5
    assert first["relevance"] == [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, None]
    assert first["j"] == [None, *[0.75] * 7]
    assert first["f"] == [None] * 8
    assert (first["scores"]["JF"], first["scores"]["F"]) == (0.75, None)
    second = predicted(session, 0, 1)
    assert (second["present"], second["j"], second["scores"]) == ([(1, 4)], None, None)
    unrouted = predicted(session, 4)
    assert (unrouted["route"], unrouted["j"]) == (None, [None, *[0.25] * 5])


def test_frames_without_an_index(preds: Path, tmp_path: Path) -> None:
    for video, length in LENGTHS.items():
        write_frames(tmp_path / "JPEGImages" / video, [f"{n:05d}" for n in range(length)])
    session = opened(tmp_path, preds, only=("b",))
    rows = session.sentences()["rows"]
    assert [row[:3] for row in rows] == [[1, "1", "expression 1"], [1, "2", "expression 2"]]
    state = session.sentence(1)
    assert state["truth"] is False
    assert state["predictions"][0]["present"] == [(0, 5)]
    assert session.video(1)["frames"] == 6
    assert state["referents"] == [{"id": None, "visible": [], "spans": [], "decided": False}]
    with pytest.raises(ConfigError, match="a bare folder of frames needs predictions"):
        opened(tmp_path)


def test_order_and_gaps_of_bare_frames_are_told(preds: Path, tmp_path: Path) -> None:
    write_frames(tmp_path / "b", [f"f{n}" for n in (1, 2, 10, 11, 12, 13)])
    told: list[str] = []
    session = opened(tmp_path, preds, only=("b",), warn=told.append)
    assert session.video(0)["frames"] == 6
    assert told[0].startswith("b: ")
    assert told[1].startswith("b: 1 gap in the frame numbers, first from f2.jpg to f10.jpg;")


def test_nothing_can_be_changed(index: Path) -> None:
    with pytest.raises(Refused) as refused:
        opened(index).act(0, {"kind": "flag", "revision": 0, "value": True})
    assert refused.value.status == 405


def test_predictions_of_something_else_are_refused(
    index: Path, preds: Path, tmp_path: Path
) -> None:
    (tmp_path / "alien/c/0").mkdir(parents=True)
    with pytest.raises(MissingInput, match="no predictions that fit the frames; expected VIDEO"):
        opened(index, tmp_path / "alien")
    with pytest.raises(MissingInput, match="nowhere: no such folder of predictions"):
        opened(index, tmp_path / "nowhere")
    with pytest.raises(MissingInput, match=r"has no scores.parquet; name OUT of tgl score --out"):
        opened(index, preds, scores=(tmp_path / "alien",))
    with pytest.raises(ConfigError, match="--scores: each --scores belongs to a --preds"):
        opened(index, scores=(tmp_path,))
    with pytest.raises(ConfigError, match="--preds: 3 folders, at most 2 are shown"):
        opened(index, preds, preds, preds)
    (tmp_path / "run/a/0").mkdir(parents=True)
    write_mask(tmp_path / "run/a/0/00000.png", np.ones((4, 4), bool))
    write_routes(tmp_path / "run", frames=9)
    session = opened(index, tmp_path / "run")
    with pytest.raises(CorruptInput, match="names frame 8 of a video of 8"):
        session.sentence(0)
    with pytest.raises(CorruptInput, match="the mask is 4x4 pixels, the video 32x24"):
        session.prediction_masks(0, 0, 0, 1)


def test_the_command_serves_until_ctrl_c(python: list[str], index: Path, preds: Path) -> None:
    served = Served(python, index.parent, "view", index, "--preds", preds, "--only", "a/0")
    session = served.get("/api/session")
    assert (session["mode"], session["sentences"]) == ("view", 1)
    assert served.get("/api/sentence/0/prediction/0/masks?start=0&end=9")["frames"].keys() == {
        *"123"
    }
    assert served.end() == (0, "", "")
