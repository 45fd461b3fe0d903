"""The sentences of several videos, from the command line, text files and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.files import read_regular
from schemas.wording import amount, listing, suggestion
from stages.core.datasets.documents.text_files import numbered_lines, read_text
from stages.tools.segment.many.sources import GivenVideo

SENTENCES_OPTION = "--sentences"
TABLES, LINES = (".csv", ".tsv"), ".txt"
COLUMNS = VIDEO, SENTENCE = ("video", "sentence")
_DELIMITERS = (",", ";", "\t")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class VideoSentences:
    """A video, and what to segment in it."""

    video: GivenVideo
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """A row of a table, and its place for messages."""

    table: Path
    where: str
    video: str
    sentence: str


def assign_sentences(
    videos: Sequence[GivenVideo], typed: Sequence[str], files: Sequence[Path]
) -> tuple[list[VideoSentences], list[str]]:
    """Give each video its sentences, in the order of the command line, then of the files.

    Args:
        typed: sentences of every video.
        files: texts (.txt), with a sentence of every video on each line, and tables (.csv, .tsv)
            with the columns video and sentence. A table names a video by its name or path, with or
            without suffix; other columns are ignored.

    Returns:
        the videos that have sentences, and lines about what was left out.

    Raises:
        ConfigError: no sentence at all, an empty one, or a file with another suffix.
        MissingInput: no such file, or a row names a video that is not among `videos`.
        CorruptInput: a file is not UTF-8, empty, or a table without these columns; a row that lacks
            its video or sentence.
    """
    if not all(sentence.strip() for sentence in typed):
        raise ConfigError("is empty", where="SENTENCE", hint="describe what to segment")
    given: dict[str, list[str]] = {video.video_id: list(typed) for video in videos}
    known = _Names(videos)
    for path in files:
        if path.suffix.lower() in TABLES:
            rows = _read_table(path)
            for row, video in zip(rows, known.find_all(rows), strict=True):
                given[video.video_id].append(row.sentence)
        elif path.suffix.lower() == LINES:
            lines = _read_lines(path)
            for sentences in given.values():
                sentences.extend(lines)
        else:
            endings = ", ".join((*TABLES, LINES))
            raise ConfigError(f"{path.name!r} does not end in {endings}", where=SENTENCES_OPTION)
    return _distinct(videos, given)


def _distinct(
    videos: Sequence[GivenVideo], given: dict[str, list[str]]
) -> tuple[list[VideoSentences], list[str]]:
    """The videos with sentences, each sentence once, and lines about the others."""
    found = [VideoSentences(video, tuple(dict.fromkeys(given[video.video_id]))) for video in videos]
    bare = [one.video.video_id for one in found if not one.sentences]
    repeated = sum(map(len, given.values())) - sum(len(one.sentences) for one in found)
    warnings = [f"no sentence for {listing(bare, 'videos')}, left out"] if bare else []
    if repeated:
        warnings.append(f"{amount(repeated, 'sentences')} given twice for a video, used once")
    return [one for one in found if one.sentences], warnings


def _read_lines(path: Path) -> list[str]:
    _require_text(path)
    return [line.strip() for _, line in numbered_lines(path)]


def _read_table(path: Path) -> list[_Row]:
    _require_text(path)
    text = read_text(path)
    names, delimiter = _header(text, path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        filled = (values for values in reader if any(value.strip() for value in values))
        next(filled)
        for values in filled:
            rows.append(_row(path, names, values, f"{path}, line {reader.line_num}"))
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise CorruptInput(f"is not CSV ({error})", where=where) from error
    if not rows:
        raise CorruptInput("has no rows", where=path, hint=f"a row is a {' and a '.join(COLUMNS)}")
    return rows


def _row(path: Path, names: Sequence[str], values: Sequence[str], where: str) -> _Row:
    if len(values) != len(names):
        raise CorruptInput(
            f"{amount(len(values), 'values')} for {amount(len(names), 'columns')}",
            where=where,
            hint="put a sentence with a comma in quotes" if len(values) > len(names) else None,
        )
    found = dict(zip(names, values, strict=True))
    for column in COLUMNS:
        if not found[column].strip():
            raise CorruptInput(f"the {column} is empty", where=where)
    return _Row(path, where, found[VIDEO].strip(), found[SENTENCE].strip())


def _header(text: str, path: Path) -> tuple[list[str], str]:
    """Names of the columns in lower case, and what separates them.

    Raises:
        CorruptInput: a column is missing, or occurs twice.
    """
    first = text.lstrip().split("\n", 1)[0].strip()
    if not first:
        raise CorruptInput("is empty", where=path)
    for delimiter in _DELIMITERS:
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
        if all(names.count(column) == 1 for column in COLUMNS):
            return names, delimiter
    raise CorruptInput(
        f"its first line is {first[:60]!r}, not the columns video and sentence", where=path
    )


def _require_text(path: Path) -> None:
    """Raise CorruptInput for UTF-16, which spreadsheets write as Unicode text."""
    data = read_regular(path, missing="no such file of sentences")
    if data.startswith(_UTF16) or b"\0" in data:
        raise CorruptInput("is UTF-16, not UTF-8 text", where=path, hint="save it as UTF-8")


class _Names:
    """The videos by what a table may call them."""

    def __init__(self, videos: Sequence[GivenVideo]):
        self._videos = videos
        self._by_name: dict[str, list[GivenVideo]] = {}
        for video in videos:
            own = video.path.name or video.path.resolve().name
            stem = own if video.path.is_dir() else video.path.stem
            for name in {own, stem, video.video_id}:
                self._by_name.setdefault(name, []).append(video)

    def find_all(self, rows: Sequence[_Row]) -> list[GivenVideo]:
        """The video of each row.

        Raises:
            MissingInput: some name none.
        """
        found = [self._find(row) for row in rows]
        unknown = [row for row, video in zip(rows, found, strict=True) if video is None]
        if unknown:
            names = [video.video_id for video in self._videos]
            more = f" (and {amount(len(unknown) - 1, 'more rows')})" if unknown[1:] else ""
            raise MissingInput(
                f"{unknown[0].video!r} is none of the {listing(names, 'videos')}{more}",
                where=unknown[0].where,
                hint=suggestion(unknown[0].video, [video.path.name for video in self._videos]),
            )
        return [video for video in found if video is not None]

    def _find(self, row: _Row) -> GivenVideo | None:
        """The video with the name or the end of the path that a row gives."""
        wanted = PurePath(row.video)
        named = self._by_name.get(wanted.name, [])
        return next((video for video in named if _fits(video, wanted, row.table)), None)


def _fits(video: GivenVideo, wanted: PurePath, table: Path) -> bool:
    """Whether a video lies in the folder that a row names, if it names one."""
    folders = video.path.parent.resolve().parts
    return any(folders[len(folders) - len(parts) :] == parts for parts in _parents(wanted, table))


def _parents(wanted: PurePath, table: Path) -> Iterator[tuple[str, ...]]:
    """The folders above a name: as they stand, from the current folder, from the table's."""
    yield wanted.parent.parts
    for start in (Path(), table.parent):
        yield (start / wanted).parent.resolve().parts
