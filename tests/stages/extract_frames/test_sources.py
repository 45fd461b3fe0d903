"""From names to videos: folders, globs and list files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from stages.extract_frames.config import ExtractInputs
from stages.extract_frames.sources import find_videos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b.mp4, a.MKV, notes.txt and sub/c.mp4."""
    (tmp_path / "sub").mkdir()
    for name in ("b.mp4", "a.MKV", "notes.txt", "sub/c.mp4"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_its_videos_by_name(folder: Path) -> None:
    assert find_videos([str(folder)]) == (folder / "a.MKV", folder / "b.mp4")


def test_a_named_file_may_end_as_it_likes(folder: Path) -> None:
    assert find_videos([str(folder / "notes.txt")]) == (folder / "notes.txt",)


def test_globs_reach_into_folders(folder: Path) -> None:
    found = find_videos([str(folder / "**" / "*.mp4"), str(folder / "b.mp4")])
    assert found == (folder / "b.mp4", folder / "sub" / "c.mp4")


def test_a_file_whose_name_is_a_pattern_is_a_file(tmp_path: Path) -> None:
    odd = tmp_path / "a[1].mp4"
    odd.touch()
    assert find_videos([str(odd)]) == (odd,)


def test_a_list_is_relative_to_itself(folder: Path) -> None:
    (folder / "list.txt").write_text("# two of them\n\nsub\n  b.mp4  \nb.mp4\n")
    found = find_videos([f"@{folder / 'list.txt'}"])
    assert found == (folder / "sub" / "c.mp4", folder / "b.mp4")


def test_what_stands_for_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(MissingInput, match="matches no file"):
        find_videos([str(folder / "*.webm")])
    (folder / "empty").mkdir()
    with pytest.raises(MissingInput, match="contains no videos"):
        find_videos([str(folder / "empty")])
    with pytest.raises(MissingInput, match="no such list"):
        find_videos([f"@{folder / 'absent.txt'}"])
    with pytest.raises(ConfigError, match="no video given"):
        ExtractInputs(find_videos([])).digests()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"@again.txt\n", b"a\0b.mp4\n"])
def test_lists_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(CorruptInput, match=r"list\.txt"):
        find_videos([f"@{tmp_path / 'list.txt'}"])


def test_names_that_no_file_can_have() -> None:
    for name in ("x" * 5000, "a\0b", "~nobody-of-this-name/v.mp4"):
        try:
            found = find_videos([name])
            ExtractInputs(found).digests()
        except TglError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 (either way is right)
        else:
            pytest.fail(f"{name[:20]!r} was taken for a video")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    noise=st.one_of(
        st.binary(max_size=40), st.text("ab./~#@[]?\n\0é ", max_size=40).map(str.encode)
    )
)
def test_noise_for_a_list(noise: bytes, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(noise)
    try:
        found = find_videos([f"@{path}"])
    except TglError:
        return
    assert all(isinstance(video, Path) for video in found)


def test_a_pipe_in_place_of_a_list_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(CorruptInput, match=r"list\.txt: is a pipe"):
        find_videos([f"@{tmp_path / 'list.txt'}"])
