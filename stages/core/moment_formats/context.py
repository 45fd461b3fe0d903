"""What a moments file is read and written against: the data set's videos and sentences.

Most formats know neither expression ids nor frames: labels and sentences are resolved here, and
seconds become frames here, exactly or not at all.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from schemas.errors import ConfigError, CorruptInput
from schemas.vocabulary import ANNOTATED
from stages.core.datasets.records import RawExpression
from stages.core.moment_formats import NEAREST, OUTWARD, REFUSE

Row = dict[str, Any]

# Written times come back as the same frame through decimals and milliseconds.
EXACT_FRAMES = 0.01
MOST_FRAMES = 2**31 - 1
_MOST_SECONDS = 1e9
_LARGEST_DENOMINATOR = 1001  # of the NTSC rates
# Label Studio puts the first eight digits of a hash before the name of an uploaded file.
_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
LABEL_MARK = ":"
_SHOWN = 80


@dataclass(frozen=True)
class Timing:
    """A video's length in frames, its rate (None if unknown) and its picture size."""

    frames: int
    fps: float | None
    height: int
    width: int

    @property
    def rate(self) -> Fraction | None:
        """`fps` as the fraction that a container would hold: 23.976024 is 24000/1001."""
        if self.fps is None:
            return None
        return Fraction(self.fps).limit_denominator(_LARGEST_DENOMINATOR)


@dataclass(frozen=True)
class MomentContext:
    """Videos and expressions that moments belong to.

    Args:
        rounding: what happens to a time between two frames: `refuse` it, `outward` (the span grows
            to whole frames), or `nearest`.
    """

    expressions: tuple[RawExpression, ...]
    videos: Mapping[str, Timing]
    rounding: str = REFUSE

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], RawExpression]:
        return {expression.key: expression for expression in self.expressions}

    @cached_property
    def _by_text(self) -> dict[tuple[str, str], list[RawExpression]]:
        found: dict[tuple[str, str], list[RawExpression]] = defaultdict(list)
        for expression in self.expressions:
            found[expression.video_id, _plain(expression.text)].append(expression)
        return found

    def text(self, video_id: str, expression_id: str) -> str:
        """The sentence of an expression."""
        return self._by_key[video_id, expression_id].text

    def is_unique(self, video_id: str, text: str) -> bool:
        """Whether no other sentence of the video reads the same."""
        return len(self._by_text.get((video_id, _plain(text)), ())) == 1

    def video(self, name: object, where: object) -> str:
        """The video that a path, URL or name in a file means.

        Raises:
            CorruptInput: there is none.
        """
        text = str(name)
        file_name = PureWindowsPath(PurePosixPath(text).name).name
        stem = file_name.rsplit(".", 1)[0] if "." in file_name else file_name
        for candidate in (text, file_name, stem, _UPLOAD_MARK.sub("", stem)):
            if candidate in self.videos:
                return candidate
        raise CorruptInput(f"the data set has no video {_short(text)}", where=where)

    def sentence(self, video_id: str, text: object, where: object) -> RawExpression:
        """The expression of a video that reads like `text`, blanks and case aside.

        Raises:
            CorruptInput: none does, or several do.
        """
        found = self._by_text.get((video_id, _plain(str(text))), [])
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} sentences read" if found else "no sentence reads"
        raise CorruptInput(f"{what} {_short(text)} in video {video_id}", where=where)

    def label(self, video_id: str, label: object, where: object) -> tuple[str, str | None]:
        """What a label means: (expression id, anno id or None for all referents).

        A label is `<expression id>`, `<expression id>:<anno id>`, or the sentence itself.

        Raises:
            CorruptInput: it is none of these.
        """
        text = str(label).strip()
        expression_id, mark, anno_id = text.partition(LABEL_MARK)
        if (video_id, text) in self._by_key:
            return text, None
        if mark and (video_id, expression_id) in self._by_key:
            return expression_id, anno_id
        return self.sentence(video_id, text, where).expression_id, None

    def rate(self, video_id: str, where: object) -> Fraction:
        """Frames a second of a video.

        Raises:
            ConfigError: it is unknown or varies.
        """
        rate = self.videos[video_id].rate
        if rate is None:
            raise ConfigError(
                f"holds seconds, but the frame rate of video {video_id} is not known",
                where=where,
                hint="name the frames that extract-frames made with --frames, or give --fps",
            )
        return rate

    def seconds(self, video_id: str, frame: int, where: object) -> Fraction:
        """When a frame begins."""
        return frame / self.rate(video_id, where)

    def span(
        self,
        video_id: str,
        start: object,
        end: object,
        where: object,
        *,
        resolution: float = 0.0,
    ) -> tuple[int, int]:
        """Seconds as a half-open span of frames.

        Args:
            resolution: of the format in seconds; a time is good to half of it.

        Raises:
            CorruptInput: no numbers, an empty span, or a time between two frames when those are
                refused.
            ConfigError: the frame rate is unknown.
        """
        rate = self.rate(video_id, where)
        begin, finish = seconds_number(start, where), seconds_number(end, where)
        if begin < 0 or finish <= begin:
            raise CorruptInput(f"[{start}, {end}] is no span of seconds", where=where)
        tolerance = EXACT_FRAMES + float(rate) * resolution / 2
        first = self._frame(Fraction(begin) * rate, tolerance, math.floor, where)
        last = self._frame(Fraction(finish) * rate, tolerance, math.ceil, where)
        if last <= first:
            raise CorruptInput(f"[{start}, {end}] is shorter than a frame", where=where)
        return first, last

    def _frame(self, place: Fraction, tolerance: float, outward: Any, where: object) -> int:
        nearest = math.floor(place + Fraction(1, 2))
        if abs(place - nearest) <= tolerance or self.rounding == NEAREST:
            return nearest
        if self.rounding == OUTWARD:
            return int(outward(place))
        raise CorruptInput(
            f"the time of frame {float(place):.3f} lies between two frames",
            where=where,
            hint="choose --rounding outward or nearest, or give another --fps",
        )


def row(
    video_id: str,
    expression_id: str,
    anno_id: str | None,
    span: tuple[int, int],
    source: str = ANNOTATED,
    score: float | None = None,
) -> Row:
    """One row of the moments table."""
    return {
        "video_id": video_id,
        "expression_id": expression_id,
        "anno_id": anno_id,
        "start_frame": span[0],
        "end_frame": span[1],
        "source": source,
        "score": score,
    }


def row_label(moment: Row) -> str:
    """The label that :meth:`MomentContext.label` resolves to this row's referent."""
    if moment["anno_id"] is None:
        return str(moment["expression_id"])
    return f"{moment['expression_id']}{LABEL_MARK}{moment['anno_id']}"


def seconds_number(value: object, where: object) -> float:
    """A number of seconds.

    Raises:
        CorruptInput: it is none, or absurdly large.
    """
    number = finite(value, where)
    if abs(number) > _MOST_SECONDS:
        raise CorruptInput(f"{_short(value)} seconds are too many", where=where)
    return number


def finite(value: object, where: object) -> float:
    """A number of a JSON document or a text field.

    Raises:
        CorruptInput: it is not a finite number.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise CorruptInput(f"{_short(value)} is not a number", where=where)
    return number


def frame_number(value: object, where: object) -> int:
    """A frame number of a JSON document or a text field.

    Raises:
        CorruptInput: it is not a whole number that a frame can have.
    """
    number = finite(value, where)
    if not number.is_integer() or not 0 <= number <= MOST_FRAMES:
        raise CorruptInput(f"{_short(value)} is not the number of a frame", where=where)
    return int(number)


def whole_span(start: int, end: int, where: object) -> tuple[int, int]:
    """`start` and `end` if they are a half-open span.

    Raises:
        CorruptInput: it would be empty or begin before the video.
    """
    if not 0 <= start < end:
        raise CorruptInput(f"[{start}, {end}) is no span of frames", where=where)
    return start, end


def without_referents(rows: Iterable[Row], format_name: str) -> list[Row]:
    """`rows` if none is of a single referent.

    Raises:
        ConfigError: the format cannot hold them.
    """
    found = list(rows)
    for moment in found:
        if moment["anno_id"] is not None:
            raise ConfigError(
                f"{format_name} has no place for single referents, found anno id "
                f"{moment['anno_id']}",
                where=f"video {moment['video_id']}, expression {moment['expression_id']}",
                hint="export their union with --union, or choose another format",
            )
    return found


def by_video(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by video, in order."""
    found: dict[str, list[Row]] = defaultdict(list)
    for moment in rows:
        found[moment["video_id"]].append(moment)
    return dict(found)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
