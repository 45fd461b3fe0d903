"""Statistics of the sentences, referents and moments of an index, as data set papers print them.

Each is taken over samples that are kept for the plots: one per video, sentence, referent or span.
Shares lie between 0 and 1; None is unknown or has no sample. Spans are the longest runs of frames:
rows that overlap or touch are one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.core.datasets.frame_times import IndexTimes
from stages.core.index.index import Expression, Index, Video
from stages.core.media.spans import Span, shared_frames
from stages.tools.describe.moment_sets import MomentSet, no_target_sentences

POSITIONS = 100
"""Parts of a video for the share of sentences that are true in each."""
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_SEVERAL = 2
_MOST_REFERENTS = 4
_QUARTERS = (0.25, 0.5, 0.75)

Visible = Mapping[str, Sequence[Span]]


@dataclass
class Samples:
    """One number per video, sentence, referent or span.

    Attributes:
        video_frames, video_seconds, video_sentences: per video; seconds where the rate is known.
        words: per sentence.
        referents: per sentence of which they are known, 0 without a target.
        sentence_spans, sentence_coverage: per sentence with moments; the spans of all its
            referents together, and the share of the video in them.
        referent_spans, referent_coverage: per referent of sentences whose moments tell referents.
        visible_coverage: per such referent with a mask; the share of its visible frames in its
            moments.
        span_frames, span_seconds: per span of a referent (of all together where moments do not tell
            them apart).
        starts, ends: per span, as shares of the video.
        positions: float (POSITIONS,), sum over sentences with moments of whether they are true.
    """

    video_frames: list[int] = field(default_factory=list)
    video_seconds: list[float] = field(default_factory=list)
    video_sentences: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    referents: list[int] = field(default_factory=list)
    sentence_spans: list[int] = field(default_factory=list)
    sentence_coverage: list[float] = field(default_factory=list)
    referent_spans: list[int] = field(default_factory=list)
    referent_coverage: list[float] = field(default_factory=list)
    visible_coverage: list[float] = field(default_factory=list)
    span_frames: list[int] = field(default_factory=list)
    span_seconds: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    positions: np.ndarray = field(default_factory=lambda: np.zeros(POSITIONS))


@dataclass
class _Counts:
    """Counts that are no sample."""

    with_moments: int = 0
    never_true: int = 0
    no_target: int = 0
    unjudged: int = 0
    together: int = 0
    several: int = 0
    several_compared: int = 0
    disjoint: int = 0
    span_frames_masked: int = 0
    span_frames_unmasked: int = 0
    vocabulary: set[str] = field(default_factory=set)


def describe_index(
    index: Index, moments: MomentSet, visible: Visible, fps: float = 0.0
) -> tuple[dict[str, Any], Samples]:
    """Compute all statistics.

    Args:
        visible: spans of the frames with a mask of each object.
        fps: frame rate of videos for which the index has none; 0 leaves it unknown.

    Returns:
        the statistics as a document whose keys are stable, and the samples behind them.
    """
    samples, counts, times = Samples(), _Counts(), IndexTimes(fps)
    no_target = no_target_sentences(index)
    known_referents = any(e.object_ids or e.anno_ids for e in index.expressions)
    for video in index.videos.values():
        _add_video(samples, video, len(index.expressions_of(video.video_id)), times)
    for expression in index.expressions:
        words = [word.casefold() for word in _WORD.findall(expression.text)]
        samples.words.append(len(words))
        counts.vocabulary.update(words)
        if known_referents:
            samples.referents.append(len(_referents(expression)))
        _count_sentence(counts, expression, moments, no_target)
        if moments.spans.get(expression.key):
            video = index.videos[expression.video_id]
            _add_moments(samples, counts, expression, video, moments, visible, times)
    return _document(index, moments, samples, counts), samples


def _referents(expression: Expression) -> tuple[str, ...]:
    """The referents, each once; objects without masks have no anno id."""
    return tuple(dict.fromkeys(expression.anno_ids or expression.object_ids))


def _add_video(samples: Samples, video: Video, sentences: int, times: IndexTimes) -> None:
    samples.video_frames.append(video.num_frames)
    samples.video_sentences.append(sentences)
    seconds = times.length(video, 0, video.num_frames)
    if seconds is not None:
        samples.video_seconds.append(seconds)


def _count_sentence(
    counts: _Counts, expression: Expression, moments: MomentSet, no_target: frozenset[Any]
) -> None:
    """Count a sentence in one of four groups, by what is known of its moments."""
    key = expression.key
    if moments.spans.get(key):
        counts.with_moments += 1
        counts.together += not moments.tells_referents(key)
    elif key in no_target:
        counts.no_target += 1
    elif key in moments.judged:
        counts.never_true += 1
    else:
        counts.unjudged += 1


def _add_moments(
    samples: Samples,
    counts: _Counts,
    expression: Expression,
    video: Video,
    moments: MomentSet,
    visible: Visible,
    times: IndexTimes,
) -> None:
    """Add the samples of a sentence with moments."""
    union = moments.of(expression.key, None)
    samples.sentence_spans.append(len(union))
    samples.sentence_coverage.append(_length(union) / video.num_frames)
    _add_positions(samples.positions, union, video.num_frames)
    told = moments.tells_referents(expression.key)
    referents = dict.fromkeys(expression.anno_ids) if told else ()
    lanes = [moments.of(expression.key, anno_id) for anno_id in referents] if told else [union]
    for spans in lanes:
        _add_spans(samples, spans, video, times)
    if not told:
        return
    for anno_id, spans in zip(referents, lanes, strict=True):
        samples.referent_spans.append(len(spans))
        samples.referent_coverage.append(_length(spans) / video.num_frames)
        seen = visible.get(anno_id)
        if seen:
            shared = shared_frames(spans, seen)
            samples.visible_coverage.append(shared / _length(seen))
            counts.span_frames_masked += shared
            counts.span_frames_unmasked += _length(spans) - shared
    counts.several += len(referents) >= _SEVERAL
    found = [spans for spans in lanes if spans]
    if len(found) >= _SEVERAL:
        counts.several_compared += 1
        counts.disjoint += sum(map(_length, found)) == _length(union)


def _add_spans(samples: Samples, spans: Iterable[Span], video: Video, times: IndexTimes) -> None:
    for start, end in spans:
        samples.span_frames.append(end - start)
        samples.starts.append(start / video.num_frames)
        samples.ends.append(end / video.num_frames)
        seconds = times.length(video, start, end)
        if seconds is not None:
            samples.span_seconds.append(seconds)


def _add_positions(positions: np.ndarray, spans: Iterable[Span], frames: int) -> None:
    """Add 1 to the parts of the video whose middle lies in a span, in place."""
    for start, end in spans:
        # Part p has its middle at (p + 0.5) / POSITIONS of the video.
        first, last = (int(np.ceil(edge / frames * POSITIONS - 0.5)) for edge in (start, end))
        positions[max(first, 0) : last] += 1


def _length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _document(
    index: Index, moments: MomentSet, samples: Samples, counts: _Counts
) -> dict[str, Any]:
    return {
        "videos": _videos(samples),
        "sentences": _sentences(index, samples, counts),
        "referents": _referent_figures(index, samples, counts),
        "moments": _moments(moments, samples, counts),
    }


def _videos(samples: Samples) -> dict[str, Any]:
    known = len(samples.video_seconds)
    return {
        "count": len(samples.video_frames),
        "frames": sum(samples.video_frames),
        "seconds": sum(samples.video_seconds) if known else None,
        "with_frame_rate": known,
        "without_sentence": samples.video_sentences.count(0),
        "frames_per_video": distribution(samples.video_frames),
        "seconds_per_video": distribution(samples.video_seconds),
        "sentences_per_video": distribution(samples.video_sentences),
    }


def _sentences(index: Index, samples: Samples, counts: _Counts) -> dict[str, Any]:
    total = len(index.expressions)
    return {
        "count": total,
        "distinct": len({expression.text for expression in index.expressions}),
        "words": len(counts.vocabulary),
        "with_moments": counts.with_moments,
        "no_target": counts.no_target,
        "no_target_share": _share(counts.no_target, total) if samples.referents else None,
        "never_true": counts.never_true,
        "without_known_moments": counts.unjudged,
        "words_per_sentence": distribution(samples.words),
    }


def _referent_figures(index: Index, samples: Samples, counts: _Counts) -> dict[str, Any]:
    named = {(e.video_id, name) for e in index.expressions for name in _referents(e)}
    grouped = Counter(min(number, _MOST_REFERENTS) for number in samples.referents)
    with_target = [number for number in samples.referents if number]
    return {
        "objects": len(named) if samples.referents else None,
        "per_sentence": distribution(with_target),
        "sentences_by_number": [
            {
                "referents": number if number < _MOST_REFERENTS else f"{number} or more",
                "sentences": grouped[number],
            }
            for number in sorted(grouped)
        ],
        "several_with_moments_of_each": counts.several_compared,
        "disjoint": counts.disjoint if counts.several_compared else None,
        "disjoint_share": _share(counts.disjoint, counts.several_compared),
    }


def _moments(moments: MomentSet, samples: Samples, counts: _Counts) -> dict[str, Any]:
    starts, ends = np.array(samples.starts), np.array(samples.ends)
    several = [number >= _SEVERAL for number in samples.sentence_spans]
    whole = [share == 1 for share in samples.sentence_coverage]
    masked, unmasked = counts.span_frames_masked, counts.span_frames_unmasked
    return {
        "from": moments.name,
        "sources": dict(sorted(moments.sources.items())),
        "spans": len(samples.span_frames),
        "merged_rows": moments.merged,
        "of_all_referents_together": counts.together,
        "unknown_sentences": len(moments.unknown),
        "spans_per_sentence": distribution(samples.sentence_spans),
        "spans_per_referent": distribution(samples.referent_spans),
        "several_spans_share": _share(sum(several), len(several)),
        "whole_video_share": _share(sum(whole), len(whole)),
        "coverage_of_video": distribution(samples.sentence_coverage),
        "coverage_of_video_by_referent": distribution(samples.referent_coverage),
        "coverage_of_visible_frames": distribution(samples.visible_coverage),
        "span_frames_without_mask_share": _share(unmasked, masked + unmasked),
        "span_frames": distribution(samples.span_frames),
        "span_seconds": distribution(samples.span_seconds),
        "starts": distribution(samples.starts),
        "ends": distribution(samples.ends),
        "from_first_frame_share": _share(int((starts == 0).sum()), len(starts)),
        "to_last_frame_share": _share(int((ends == 1).sum()), len(ends)),
    }


def distribution(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, quartiles and range of samples; None without any."""
    if not values:
        return None
    found = np.asarray(values, float)
    low, middle, high = np.quantile(found, _QUARTERS)
    return {
        "samples": len(values),
        "mean": float(found.mean()),
        "median": float(middle),
        "lower_quartile": float(low),
        "upper_quartile": float(high),
        "least": float(found.min()),
        "most": float(found.max()),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
