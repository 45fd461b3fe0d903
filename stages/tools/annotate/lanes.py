"""Lanes beside the annotator's own: proposals, other annotators, and the two to adjudicate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from schemas.errors import CorruptInput, TglError
from schemas.layouts import ANNOTATION_LOG
from schemas.vocabulary import VISIBILITY
from stages.core.browser.videos import Videos
from stages.core.datasets.moment_rows import MomentRow, check_moment_row
from stages.core.index.index import Index
from stages.core.index.table_paths import moments_folder
from stages.core.media.spans import Span, span_mask, spans_of
from stages.core.moment_formats.registry import read_moments_file
from stages.core.moment_formats.timings import index_context
from stages.tools.annotate.log import Reader
from stages.tools.annotate.records import Replay, Sentences, lanes_of

Spans = tuple[Span, ...]
Lanes = tuple[Spans, ...]
"""Spans of each referent of a sentence, or of all together if it has none."""
Lookup = Callable[[int], Lanes | None]
"""From a sentence's number to its lanes; None if nothing is said about it."""
PROPOSALS, ANNOTATOR, CHOICE = "proposals", "annotator", "choice"


@dataclass(frozen=True)
class Source:
    """Lanes that the annotator sees and may accept.

    Attributes:
        id: in addresses and actions.
        name: as it is shown and as the result names it.
        kind: proposals, annotator, or choice (one of two to adjudicate).
        lanes: of a sentence by its number; None if the source says nothing about it.
    """

    id: str
    name: str
    kind: str
    lanes: Lookup


def moment_lanes(named: str, index: Index, sentences: Sentences, videos: Videos) -> Lookup:
    """The lanes of a moments file, or of the frames that show each referent.

    Args:
        named: a moments file or folder, or `visibility`.

    Raises:
        TglError: as the format's reader raises it, or it does not fit the index.
    """
    if named == VISIBILITY:
        return _visible(sentences, videos)
    path = moments_folder(Path(named))
    rows = read_moments_file(path, None, index_context(index))
    return _of_rows(rows, sentences, videos, named)


def annotator_lanes(folder: Path, sentences: Sentences) -> Lookup:
    """The lanes of sentences that another annotator has finished, as far as the log goes now.

    Raises:
        TglError: as :func:`read_log`, or the log belongs to another index.
    """
    return _AnnotatorLanes(folder / ANNOTATION_LOG, sentences).lanes


def _visible(sentences: Sentences, videos: Videos) -> Lookup:
    def lanes(number: int) -> Lanes | None:
        anno_ids = sentences.all[number].anno_ids
        return tuple(map(videos.visible, anno_ids)) if anno_ids else None

    return lanes


def _of_rows(
    rows: Iterable[MomentRow],
    sentences: Sentences,
    videos: Videos,
    where: object,
) -> Lookup:
    found: dict[int, dict[str | None, list[Span]]] = defaultdict(dict)
    for row in rows:
        number = sentences.numbers.get(row.key)
        if number is None:
            raise CorruptInput(
                f"moments of video {row.video_id}, expression {row.expression_id}, which the "
                "index lacks",
                where=where,
            )
        referents = sentences.all[number].anno_ids
        check_moment_row(row, referents, _length(videos, row.video_id), where)
        spans = found[number].setdefault(row.anno_id, [])
        if not row.is_never:
            spans.append(row.span)

    def lanes(number: int) -> Lanes | None:
        if number not in found:
            return None
        spans, expression = found[number], sentences.all[number]
        frames = _length(videos, expression.video_id)
        return tuple(
            tuple(spans_of(span_mask([*spans.get(anno, ()), *spans.get(None, ())], frames)))
            for anno in lanes_of(expression)
        )

    return lanes


def _length(videos: Videos, video_id: str) -> int:
    return videos.all[videos.numbers[video_id]].num_frames


class _AnnotatorLanes:
    """The marks of another annotator; what their log has gained since is read at each look."""

    def __init__(self, path: Path, sentences: Sentences):
        self._lock = Lock()
        self._reader = Reader(path)
        self._replay = Replay(sentences, path, self._reader.header.get("index", ""))
        self._replay.extend(self._reader.follow())

    def lanes(self, number: int) -> Lanes | None:
        """The spans of a finished sentence; None of others and of flagged ones."""
        with self._lock:
            with suppress(TglError, OSError):  # of a log that was damaged or removed since
                self._replay.extend(self._reader.follow())
            history = self._replay.histories.get(number)
        if history is None or not history.now.exported:
            return None
        return tuple(() if lane is None else lane.spans for lane in history.now.lanes)
