"""Items of lists, streamed at every size of the window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import CorruptInput, MissingInput
from stages.core.datasets.documents.json_stream import stream_items

DOCUMENT = {
    "info": {"images": [1], "x": "]}"},
    "none": [],
    "others": [[1, 2], {"a": [3]}],
    "images": [{"id": 1, "name": 'a "b" ]'}, 12345, "ü"],
    "number": 3,
    "annotations": [{"id": 2}],
    "categories": [{"id": 5}],
}


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
@pytest.mark.parametrize("indent", [None, 1])
def test_items_are_streamed(tmp_path: Path, chunk: int, indent: int | None) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(DOCUMENT, indent=indent))
    found = list(stream_items(path, ("annotations", "images", "none"), chunk=chunk))
    images = [("images", item) for item in DOCUMENT["images"]]
    assert found == [*images, ("annotations", {"id": 2})]


def test_what_follows_the_last_list_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"images": [1, 2], "annotations": [3, nonsense')
    assert list(stream_items(path, ("images",))) == [("images", 1), ("images", 2)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cut off"),
        ("[]", "lacks {"),
        ("{}", "has no list images"),
        ('{"images": {}}', "has no list images"),
        ('{"images": null, "annotations": []}', "has no list images"),
        ('{"images": [1, 2', "cut off"),
        ('{"images": [1, 2}', "lacks , or ]"),
        ('{"images": [1,]}', "not JSON at character 14"),
        ('{"images": [1 2]}', "lacks , or ]"),
        ('{"images": [{"a": 1, ', "incomplete"),
        ('{"images": [1]; "x": 2}', "lacks , or }"),
        ('{5: [1]}', "where a key is expected"),
    ],
)  # fmt: skip
def test_damaged_lists(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CorruptInput) as caught:
        list(stream_items(path, ("images",)))
    assert words in str(caught.value)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(CorruptInput, match="not UTF-8"):
        list(stream_items(path, ("images",)))
    with pytest.raises(MissingInput, match="no such list; get it"):
        list(stream_items(tmp_path / "y", ("a",), missing="no such list", hint="get it"))
