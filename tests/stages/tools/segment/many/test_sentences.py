"""Sentences of several videos from tables and texts; nothing of them is dropped unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import ConfigError, CorruptInput, MissingInput
from stages.tools.segment.many.sentences import VideoSentences, assign_sentences
from stages.tools.segment.many.sources import GivenVideo, find_given_videos


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[GivenVideo, ...]:
    """clips/a.mp4, clips/b.c.mp4 and more/d.mkv, named from the folder above."""
    for name in ("clips/a.mp4", "clips/b.c.mp4", "more/d.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return find_given_videos([Path("clips"), Path("more")]).videos


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def by_name(found: list[VideoSentences]) -> dict[str, tuple[str, ...]]:
    return {one.video.video_id: one.sentences for one in found}


@pytest.mark.parametrize(
    "name",
    [
        *("b.c.mp4", "b.c", "clips/b.c.mp4", "clips/b.c", "./clips/b.c.mp4", "../clips/b.c"),
        "{here}/clips/b.c.mp4",
    ],
)
def test_a_table_names_videos_by_name_or_path(
    videos: tuple[GivenVideo, ...], tmp_path: Path, name: str
) -> None:
    place = "lists/s.csv" if name.startswith("..") else "s.csv"
    path = write(place, f"sentence,note,video\nthe dog,x,{name.format(here=tmp_path)}\n")
    found, said = assign_sentences(videos, [], [path])
    assert by_name(found) == {"b.c": ("the dog",)}
    assert said == ["no sentence for 2 videos (a, d), left out"]


@pytest.mark.parametrize("name", ["b", "other/a.mp4", "a.mkv", "e"])
def test_a_row_that_names_no_given_video(videos: tuple[GivenVideo, ...], name: str) -> None:
    path = write("s.csv", f"video,sentence\na,x\n{name},the dog\n{name},a man\n")
    with pytest.raises(MissingInput) as caught:
        assign_sentences(videos, [], [path])
    lines = str(caught.value)
    assert lines.startswith(
        f"s.csv, line 3: {name!r} is none of the 3 videos (a, b.c, d) (and 1 more row)"
    )


def test_all_sources_of_sentences_add_up(videos: tuple[GivenVideo, ...]) -> None:
    table = write(
        "s.csv", 'video,sentence\nd,"a dog, black"\nd,the man\n\n,\nd,the man\na,the man\n'
    )
    lines = write("s.txt", "\ufeffthe man\n\n  a cat  \r\n")
    found, said = assign_sentences(videos, ["the sky"], [table, lines])
    assert by_name(found) == {
        "a": ("the sky", "the man", "a cat"),
        "b.c": ("the sky", "the man", "a cat"),
        "d": ("the sky", "a dog, black", "the man", "a cat"),
    }
    assert said == ["3 sentences given twice for a video, used once"]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffVideo,Sentence\na,le chat noir\n",
        "video;sentence\r\na;le chat noir\r\n",
        "\n sentence\tvideo \nle chat noir\ta",
    ],
)
def test_tables_as_spreadsheets_write_them(videos: tuple[GivenVideo, ...], content: str) -> None:
    found, _ = assign_sentences(videos, [], [write("s.tsv", content)])
    assert by_name(found) == {"a": ("le chat noir",)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", b"", "s.csv: is empty"),
        ("s.csv", "video,sentence\n", "s.csv: has no rows; a row is a video and a sentence"),
        ("s.csv", "clip,text\na,b\n", "its first line is 'clip,text', not the columns video and"),
        ("s.csv", "video,video,sentence\na,b,c\n", "not the columns video and sentence"),
        ("s.csv", "video,sentence\na,the dog, black\n", "line 2: 3 values for 2 columns; put a"),
        ("s.csv", "video,sentence\na\n", "s.csv, line 2: 1 value for 2 columns"),
        ("s.csv", "video,sentence\na, \n", "s.csv, line 2: the sentence is empty"),
        ("s.csv", "video,sentence\n,the dog\n", "s.csv, line 2: the video is empty"),
        ("s.csv", 'video,sentence\na,"the dog\n', "is not CSV (unexpected end of data)"),
        ("s.csv", "video,sentence\na,b\n".encode("utf-16"), "s.csv: is UTF-16, not UTF-8 text"),
        ("s.txt", "the dog\n".encode("utf-16-le"), "s.txt: is UTF-16, not UTF-8 text; save it as"),
        ("s.txt", "le chaton mêlé\n".encode("latin-1"), "s.txt: is not UTF-8 text"),
        ("s.txt", "\n \n", "s.txt: is empty"),
    ],
)
def test_a_file_that_gives_no_sentences(
    videos: tuple[GivenVideo, ...], name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(CorruptInput) as caught:
        assign_sentences(videos, [], [write(name, content)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_usage(videos: tuple[GivenVideo, ...]) -> None:
    with pytest.raises(ConfigError, match="SENTENCE: is empty"):
        assign_sentences(videos, ["a", " "], [])
    with pytest.raises(ConfigError, match=r"--sentences: 's.xls' does not end in .csv, .tsv, .txt"):
        assign_sentences(videos, [], [write("s.xls", "")])
    with pytest.raises(MissingInput, match=r"n\.csv: no such file of sentences"):
        assign_sentences(videos, [], [Path("n.csv")])
