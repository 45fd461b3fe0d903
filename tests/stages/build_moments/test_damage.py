"""Every fault of a data set is one clear line with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError, UnsafeName
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE


@pytest.fixture
def refused(run_stage: Callable, tmp_path: Path) -> Callable[[Path], TglError]:
    """Build the split, which must fail with one line and no index; returns the error."""

    def build(split: Path) -> TglError:
        with pytest.raises(TglError) as caught:
            run_stage(STAGE, IndexConfig(), IndexInputs(split), tmp_path / "out" / "index")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out" / "index").exists()
        assert len(str(caught.value)) < 600
        return caught.value

    return build


def test_a_video_that_would_leave_the_folder(mevis, refused: Callable, tmp_path: Path) -> None:
    split = mevis.write()
    mevis.meta["videos"]["../../x"] = mevis.meta["videos"].pop("a")
    mevis.write(frames=False)
    error = refused(split)
    assert isinstance(error, UnsafeName)
    assert "../../x" in str(error)


@pytest.mark.parametrize("name", ["receipt.json", "Propagation.parquet", "JPEGImages"])
def test_a_video_with_the_name_of_an_output(mevis, refused: Callable, name: str) -> None:
    mevis.meta["videos"][name] = mevis.meta["videos"].pop("a")
    error = refused(mevis.write())
    assert isinstance(error, UnsafeName)
    assert f"a video cannot be called {name!r}" in str(error)


@pytest.mark.parametrize("name", ["../0", "/etc/passwd", "a/b", "..", "", "nul", "x\0y"])
def test_expression_and_frame_names_are_checked(mevis, refused: Callable, name: str) -> None:
    split = mevis.write()
    bodies = mevis.meta["videos"]["a"]["expressions"]
    bodies[name] = bodies.pop("0")
    mevis.write(frames=False)
    assert isinstance(refused(split), UnsafeName)
    bodies["0"] = bodies.pop(name)
    mevis.meta["videos"]["a"]["frames"][2] = name
    mevis.write(frames=False)
    assert isinstance(refused(split), UnsafeName)


def test_an_unknown_anno_id(mevis, refused: Callable) -> None:
    mevis.expression("a", "0")["anno_id"] = [70]
    error = refused(mevis.write())
    assert isinstance(error, CorruptInput)
    assert "70" in str(error)


def test_a_short_mask_list(mevis, refused: Callable) -> None:
    mevis.masks["8"].pop()
    error = refused(mevis.write())
    assert "anno id 8 has 5 masks, its video 6 frames" in str(error)


def test_a_span_outside_the_video(mevis, refused: Callable) -> None:
    mevis.moments["videos"]["a"]["expressions"]["0"]["moments"]["7"] = [[4, 7]]
    error = refused(mevis.write())
    assert "[4, 7) ends after the video's 6 frames" in str(error)
    assert "video a, expression 0" in str(error)


@pytest.mark.parametrize("span", [[3, 3], [4, 2], [-1, 2], [0, 1.5], [0], "0-2", [True, 2]])
def test_spans_that_are_none(mevis, refused: Callable, span: object) -> None:
    mevis.moments["videos"]["a"]["expressions"]["0"]["moments"]["7"] = [span]
    assert isinstance(refused(mevis.write()), CorruptInput)


def test_moments_of_nothing_known(mevis, refused: Callable) -> None:
    mevis.moments["videos"]["a"]["expressions"]["9"] = {"moments": {"7": [[0, 1]]}}
    assert "no such expression" in str(refused(mevis.write()))
    del mevis.moments["videos"]["a"]["expressions"]["9"]
    mevis.moments["videos"]["a"]["expressions"]["0"]["moments"] = {"9": [[0, 1]]}
    assert "anno id 9 is not a referent" in str(refused(mevis.write()))


def test_a_moments_file_of_another_version(mevis, refused: Callable) -> None:
    mevis.moments["version"] = 2
    error = refused(mevis.write())
    assert isinstance(error, SchemaMismatch)
    assert "version 2" in str(error)


def test_a_deleted_frame(mevis, refused: Callable) -> None:
    split = mevis.write()
    (split / "JPEGImages" / "a" / "00004.jpg").unlink()
    error = refused(split)
    assert isinstance(error, MissingInput)
    assert "1 of 6 frames of video a are missing, first 00004.jpg" in str(error)


def test_a_video_without_pictures(mevis, refused: Callable) -> None:
    error = refused(mevis.write(frames=False))
    assert isinstance(error, MissingInput)
    assert "extract-frames" in str(error)


def test_a_first_frame_that_is_no_picture(mevis, refused: Callable) -> None:
    split = mevis.write()
    (split / "JPEGImages" / "b" / "00000.jpg").write_bytes(b"not a picture")
    assert "b/00000.jpg: is not an image" in str(refused(split))


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "moments.json"])
@pytest.mark.parametrize("damage", ["cut", "latin", "array", "empty", "deep", "digits"])
def test_damaged_json(mevis, refused: Callable, name: str, damage: str) -> None:
    path = mevis.write() / name
    whole = path.read_bytes()
    contents = {
        "cut": whole[: len(whole) // 2],
        "latin": whole.replace(b"a", b"\xe9"),
        "array": b"[1, 2]",
        "empty": b"",
        "deep": b'{"a":' + b"[" * 100_000,
        "digits": b'{"a": ' + b"9" * 5000 + b"}",  # more than Python reads
    }
    path.write_bytes(contents[damage])
    assert name in str(refused(path.parent))


@pytest.mark.parametrize(
    "mask",
    [
        7,
        "x",
        {},
        {"size": [12, 16]},
        {"size": [12, 16], "counts": ""},
        {"size": [12, 16], "counts": "\x00\x01"},
        {"size": [12, 16], "counts": "é"},
        {"size": [12, 16], "counts": "a"},
        {"size": [12, 16], "counts": "0" * 30},
        {"size": [12], "counts": "P6"},
        {"size": [-12, 16], "counts": "P6"},
        {"size": [2**20, 2**20], "counts": "P6"},
        {"size": [2**16, 2**15], "counts": [2**31]},
        {"size": [12, 16], "counts": [100]},
        {"size": [12, 16], "counts": [-8, 200]},
        {"size": [12, 16], "counts": [1.5, 190.5]},
        {"size": [12, 16], "counts": "ooooooooooooooooooo0"},
    ],
)
def test_masks_that_are_no_rle(mevis, refused: Callable, mask: object) -> None:
    mevis.masks["8"][1] = mask
    error = refused(mevis.write())
    assert isinstance(error, CorruptInput)
    assert "8" in str(error)


def test_a_track_whose_id_is_no_text(mevis, refused: Callable) -> None:
    mevis.masks["\ud800"] = mevis.masks["9"]
    assert "half of a surrogate pair" in str(refused(mevis.write()))


def test_a_mask_of_another_size_than_the_video(mevis, refused: Callable) -> None:
    mevis.masks["9"][1] = {"size": [16, 12], "counts": [192]}
    mevis.masks["9"][1]["counts"] = [10, 182]
    error = refused(mevis.write())
    assert "12x16" in str(error)


@pytest.mark.parametrize(
    "change",
    [
        {"exp": ""},
        {"exp": None},
        {"exp": "half a pair \ud800"},
        {"obj_id": ["\udfff"]},
        {"obj_id": [0, 1]},
        {"anno_id": [[7]]},
        {"anno_id": [True]},
        {"anno_id": [1.5]},
    ],
)
def test_expressions_that_are_none(mevis, refused: Callable, change: dict) -> None:
    mevis.expression("a", "0").update(change)
    error = refused(mevis.write())
    assert "video a, expression 0" in str(error)


def test_two_videos_with_one_track(mevis, refused: Callable) -> None:
    mevis.expression("b", "0")["anno_id"] = [7]
    assert "belongs to the videos a and b" in str(refused(mevis.write()))


def test_a_folder_of_no_known_layout(refused: Callable, tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "absent"), MissingInput)
    (tmp_path / "empty").mkdir()
    assert isinstance(refused(tmp_path / "empty"), TglError)


def test_masks_that_were_promised(mevis, refused: Callable) -> None:
    split = mevis.write()
    (split / "mask_dict.json").unlink()
    assert "the sentences have anno ids, but no masks" in str(refused(split))
