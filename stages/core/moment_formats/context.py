"""The videos and sentences of a data set, to which the moments of a file belong.

Most formats know neither expression ids nor frames: labels and sentences are resolved here, and
seconds become frames here, exactly or not at all.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import PurePosixPath, PureWindowsPath

from schemas.errors import ConfigError, CorruptInput
from stages.core.datasets.moment_rows import MomentRow
from stages.core.index.index import Expression
from stages.core.media.spans import Span
from stages.core.moment_formats import NEAREST, OUTWARD, REFUSE

NO_FILE = "no such moments file"
# A time that was rounded to decimals or milliseconds is still that of its frame.
EXACT_FRAMES = 0.01
MOST_FRAMES = 2**31 - 1
_MOST_SECONDS = 1e9
_LARGEST_DENOMINATOR = 1001  # as NTSC rates have it
# Label Studio puts the first eight digits of a hash before the name of an uploaded file.
_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
LABEL_MARK = ":"
_SHOWN = 80


@dataclass(frozen=True)
class Timing:
    """A video's length in frames, and when its frames are shown.

    Attributes:
        fps: frame rate; None if it is unknown or varies.
        height, width: of the frames.
        times: seconds of each frame, then of the end, if the rate varies.
    """

    frames: int
    fps: float | None
    height: int
    width: int
    times: tuple[float, ...] | None = None

    @property
    def rate(self) -> Fraction | None:
        """`fps` as a container stores it: 23.976024 is 24000/1001."""
        if self.fps is None:
            return None
        return Fraction(self.fps).limit_denominator(_LARGEST_DENOMINATOR)

    @property
    def highest_rate(self) -> float | None:
        """Frames per second where they follow each other fastest; None if unknown."""
        if self.times is not None:
            return 1 / min(end - start for start, end in pairwise(self.times))
        return None if self.fps is None else float(self.rate or 0)

    def position(self, seconds: float) -> tuple[Fraction, float] | None:
        """Return where a time lies in frames, and the frame rate there; None if unknown."""
        if self.times is not None:
            last = len(self.times) - 2
            frame = min(max(bisect_right(self.times, seconds) - 1, 0), last)
            step = self.times[frame + 1] - self.times[frame]
            return frame + Fraction((seconds - self.times[frame]) / step), 1 / step
        rate = self.rate
        return None if rate is None else (Fraction(seconds) * rate, float(rate))

    def seconds(self, frame: int) -> Fraction | None:
        """Return the time at which a frame begins; None if unknown."""
        if self.times is not None:
            return Fraction(self.times[frame])
        rate = self.rate
        return None if rate is None else frame / rate


@dataclass(frozen=True)
class MomentContext:
    """Videos and expressions that moments belong to.

    Args:
        rounding: treatment of a time between two frames: `refuse` it, `outward` (the span grows to
            whole frames), or `nearest`.
    """

    expressions: tuple[Expression, ...]
    videos: Mapping[str, Timing]
    rounding: str = REFUSE

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Expression]:
        return {expression.key: expression for expression in self.expressions}

    @cached_property
    def _by_text(self) -> dict[tuple[str, str], list[Expression]]:
        found: dict[tuple[str, str], list[Expression]] = defaultdict(list)
        for expression in self.expressions:
            found[expression.video_id, _plain(expression.text)].append(expression)
        return found

    def text(self, video_id: str, expression_id: str) -> str:
        """Return the sentence of an expression."""
        return self._by_key[video_id, expression_id].text

    def is_unique(self, video_id: str, text: str) -> bool:
        """Return whether no other sentence of the video reads the same."""
        return len(self._by_text.get((video_id, _plain(text)), ())) == 1

    def video(self, name: object, where: object) -> str:
        """Find the video to which a path, URL or name in a file refers.

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

    def sentence(self, video_id: str, text: object, where: object) -> Expression:
        """Find the expression of a video that reads like `text`, ignoring blanks and case.

        Raises:
            CorruptInput: none does, or several do.
        """
        found = self._by_text.get((video_id, _plain(str(text))), [])
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} sentences read" if found else "no sentence reads"
        raise CorruptInput(f"{what} {_short(text)} in video {video_id}", where=where)

    def label(self, video_id: str, label: object, where: object) -> tuple[str, str | None]:
        """Resolve a label to (expression id, anno id or None for all referents).

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

    def seconds(self, video_id: str, frame: int, where: object) -> Fraction:
        """Return the time at which a frame begins.

        Raises:
            ConfigError: neither the frame rate nor the times of the frames are known.
        """
        found = self.videos[video_id].seconds(frame)
        if found is None:
            raise _no_rate(video_id, where)
        return found

    def span(
        self,
        video_id: str,
        start: object,
        end: object,
        where: object,
        *,
        resolution: float = 0.0,
    ) -> Span:
        """Convert seconds to a half-open span of frames.

        Args:
            resolution: of the format, in seconds; a time is exact to half of it.

        Raises:
            CorruptInput: not numbers, an empty span, or a time between two frames if those are
                refused.
            ConfigError: the frame rate is unknown.
        """
        begin, finish = seconds_number(start, where), seconds_number(end, where)
        if begin < 0 or finish <= begin:
            raise CorruptInput(f"[{start}, {end}] is not a span of seconds", where=where)
        first = self._frame(video_id, begin, resolution, math.floor, where)
        last = self._frame(video_id, finish, resolution, math.ceil, where)
        if last <= first:
            raise CorruptInput(f"[{start}, {end}] is shorter than a frame", where=where)
        return first, last

    def _frame(
        self,
        video_id: str,
        seconds: float,
        resolution: float,
        outward: Callable[[Fraction], int],
        where: object,
    ) -> int:
        found = self.videos[video_id].position(seconds)
        if found is None:
            raise _no_rate(video_id, where)
        position, rate = found
        tolerance = EXACT_FRAMES + rate * resolution / 2
        nearest = math.floor(position + Fraction(1, 2))
        if abs(position - nearest) <= tolerance or self.rounding == NEAREST:
            return nearest
        if self.rounding == OUTWARD:
            return outward(position)
        raise CorruptInput(
            f"the time of frame {float(position):.3f} lies between two frames",
            where=where,
            hint="choose --rounding outward or nearest, or give another --fps",
        )


def _no_rate(video_id: str, where: object) -> ConfigError:
    return ConfigError(
        f"has times in seconds, but the frame rate of video {video_id} is not known",
        where=where,
        hint="give --fps, or build the index with --frames, OUT of tgl extract-frames",
    )


def row_label(row: MomentRow) -> str:
    """Make the label that :meth:`MomentContext.label` resolves to this row's referent."""
    if row.anno_id is None:
        return row.expression_id
    return f"{row.expression_id}{LABEL_MARK}{row.anno_id}"


def seconds_number(value: object, where: object) -> float:
    """Parse a number of seconds.

    Raises:
        CorruptInput: not a number, or absurdly large.
    """
    number = finite_number(value, where)
    if abs(number) > _MOST_SECONDS:
        raise CorruptInput(f"{_short(value)} seconds are too many", where=where)
    return number


def finite_number(value: object, where: object) -> float:
    """Parse a number of a JSON document or a text field.

    Raises:
        CorruptInput: not a finite number.
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
    """Parse a frame number of a JSON document or a text field.

    Raises:
        CorruptInput: not a whole number, or not one that a frame can have.
    """
    number = finite_number(value, where)
    if not number.is_integer() or not 0 <= number <= MOST_FRAMES:
        raise CorruptInput(f"{_short(value)} is not a frame number", where=where)
    return int(number)


def checked_span(start: int, end: int, where: object) -> Span:
    """Return `start` and `end` if they are a half-open span.

    Raises:
        CorruptInput: it is empty, or begins before the video.
    """
    if not 0 <= start < end:
        raise CorruptInput(f"[{start}, {end}) is not a span of frames", where=where)
    return start, end


def without_referents(rows: Iterable[MomentRow], format_name: str) -> list[MomentRow]:
    """Return `rows` if none is of a single referent.

    Raises:
        ConfigError: one is, which the format cannot store.
    """
    found = list(rows)
    for row in found:
        if row.anno_id is not None:
            raise ConfigError(
                f"{format_name} cannot store single referents, found anno id {row.anno_id}",
                where=f"video {row.video_id}, expression {row.expression_id}",
                hint="export their union with --union, or choose another format",
            )
    return found


def by_video(rows: Iterable[MomentRow]) -> dict[str, list[MomentRow]]:
    """Group rows by video, in order."""
    found: dict[str, list[MomentRow]] = defaultdict(list)
    for row in rows:
        found[row.video_id].append(row)
    return dict(found)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
