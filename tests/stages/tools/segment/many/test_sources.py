"""Folders of videos, of frames and of both; what they have beside is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from schemas.errors import ConfigError, CorruptInput, MissingInput, UnsafeName
from stages.tools.segment.many.sources import FoundVideos, find_given_videos


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two videos, a folder of two frames, a text and a folder without frames."""
    folder = tmp_path / "clips"
    for name in ("b.mp4", "a10.MOV", "a9.mp4", "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    images(folder / "shots", "f1.png", "f2.png")
    (folder / "empty").mkdir()
    (folder / ".hidden.mp4").touch()
    return folder


def images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def names(found: FoundVideos) -> list[str]:
    return [video.video_id for video in found.videos]


def test_a_folder_has_videos_and_folders_of_frames(clips: Path) -> None:
    found = find_given_videos([clips])
    assert names(found) == ["a9", "a10", "b", "shots"]  # a10 follows a9
    assert [video.source.video is None for video in found.videos] == [False, False, False, True]
    assert [path.name for path in found.videos[3].source.images] == ["f1.png", "f2.png"]
    said = "left out 2 files (empty, notes.txt): neither videos nor folders of frames"
    assert found.warnings == (f"{clips}: {said}",)


def test_names_keep_their_order_and_each_video_is_taken_once(clips: Path) -> None:
    (clips.parent / "link.mp4").symlink_to(clips / "a9.mp4")
    given = [clips / "b.mp4", clips / "shots" / "f2.png", clips, clips.parent / "link.mp4"]
    assert names(find_given_videos(given)) == ["b", "f2", "a9", "a10", "shots"]


def test_a_pattern_names_what_it_matches(clips: Path) -> None:
    assert names(find_given_videos([clips / "a*"])) == ["a9", "a10"]
    with pytest.raises(MissingInput, match=r"c\*: matches no file"):
        find_given_videos([clips / "c*"])


def test_a_list_names_videos_and_folders(clips: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    below = clips.relative_to(tmp_path)
    listed.write_text(f"# mine\n{below}/shots\n\n{below}/a*\n")
    assert names(find_given_videos([clips / "b.mp4", Path(f"@{listed}")])) == [
        *("b", "shots", "a9", "a10"),
    ]
    with pytest.raises(MissingInput, match="no such list of videos"):
        find_given_videos([Path("@nowhere.txt")])


def test_a_folder_of_images_is_one_video(clips: Path) -> None:
    assert names(find_given_videos([clips / "shots"])) == ["shots"]
    images(clips / "shots" / "more", "g.png")  # it becomes a folder of a folder of frames
    found = find_given_videos([clips / "shots"])
    assert names(found) == ["more"]
    assert "f1.png, f2.png" in found.warnings[0]


def test_extracted_frames_are_folders_of_frames(tmp_path: Path) -> None:
    for name in ("x", "y"):
        images(tmp_path / "frames" / "JPEGImages" / name, "00000.jpg")
    (tmp_path / "frames" / "frames.parquet").touch()
    found = find_given_videos([tmp_path / "frames"])
    assert (names(found), found.warnings) == (["x", "y"], ())


@pytest.mark.parametrize("other", ["b.mkv", "B.mp4", "b/f.png"])
def test_two_videos_of_one_name(clips: Path, other: str) -> None:
    path = clips.parent / other
    if path.suffix == ".png":
        path = images(path.parent, path.name)
    else:
        path.touch()
    with pytest.raises(ConfigError) as caught:
        find_given_videos([clips, path])
    assert str(caught.value) == (
        f"{path}: has the same name as {clips / 'b.mp4'}; "
        "outputs are named by videos without suffix: rename one of them"
    )


def test_names_that_not_every_system_takes(tmp_path: Path) -> None:
    for name in ("is it: a dog?.mp4", ".mp4.mp4"):
        (tmp_path / name).touch()
    found = find_given_videos([tmp_path / "is it: a dog?.mp4"])
    assert names(found) == ["is it_ a dog_"]
    (tmp_path / "receipt.json.mp4").touch()
    with pytest.raises(UnsafeName, match=r"receipt\.json\.mp4: a video cannot be called"):
        find_given_videos([tmp_path / "receipt.json.mp4"])


def test_what_is_missing(clips: Path) -> None:
    with pytest.raises(MissingInput, match=r"nowhere: no such video, image or folder of frames"):
        find_given_videos([clips / "nowhere"])
    with pytest.raises(MissingInput, match=r"empty: contains neither videos nor folders of frames"):
        find_given_videos([clips / "empty"])
    (clips / "lost.mp4").symlink_to("nowhere")
    with pytest.raises((MissingInput, CorruptInput), match=r"lost\.mp4: is a link to nowhere"):
        find_given_videos([clips])
