"""The work of a run: one job per video, with the moments that its sentences are routed by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import safe_name
from stages.core.index.index import Expression, Index, Moments, Video, read_moments
from stages.core.media.spans import span_mask
from stages.propagate.config import PropagateConfig, PropagateInputs

Known = Mapping[tuple[str, str], Moments]
"""Moments by sentence."""


@dataclass(frozen=True)
class Job:
    """One video with the sentences to segment.

    Attributes:
        video: with its frames.
        expressions: its sentences.
        known: (T,) bool moment of each sentence from the index or a file, or None.
    """

    video: Video
    expressions: Sequence[Expression]
    known: Sequence[np.ndarray | None]

    def only(self, rows: Sequence[int]) -> Job:
        """The same video with some of its sentences."""
        return Job(
            self.video, [self.expressions[row] for row in rows], [self.known[row] for row in rows]
        )


def known_moments(index: Index, inputs: PropagateInputs, config: PropagateConfig) -> Known:
    """Moments by sentence to route by: those of the index, of a file, or none.

    Raises:
        MissingInput: annotated moments are asked for, but the index has none at all.
        CorruptInput: the file names a sentence that is not in the index, or a span too long.
    """
    if config.moments == "annotated":
        found = {expression.key: index.moments(*expression.key) for expression in index.expressions}
        if not any(found.values()):
            raise MissingInput(
                "the index has no moments",
                where=inputs.index,
                hint="route with --moments predicted, or build the index with moments",
            )
        return found
    if config.moments != "file" or inputs.moments is None:
        return {}
    found = read_moments(inputs.moments)
    sentences = {expression.key for expression in index.expressions}
    for (video, name), moments in found.items():
        if (video, name) not in sentences:
            raise CorruptInput(
                f"moments of video {video}, expression {name}, which is not in the index",
                where=inputs.moments,
            )
        last = max((end for spans in moments.values() for _, end in spans), default=0)
        if last > index.videos[video].num_frames:
            raise CorruptInput(
                f"a moment of video {video}, expression {name} ends at frame {last}, the video "
                f"has {index.videos[video].num_frames}",
                where=inputs.moments,
            )
    return found


def plan_jobs(index: Index, known: Known) -> list[Job]:
    """One job per video that has sentences, in the order of the index."""
    jobs = []
    for video in index.videos.values():
        expressions = index.expressions_of(video.video_id)
        if not expressions:
            continue
        masks: list[np.ndarray | None] = []
        for expression in expressions:
            safe_name(expression.expression_id, where=f"{index.folder}, {video.video_id}")
            moments = known.get(expression.key) or {}
            spans = [span for group in moments.values() for span in group]
            masks.append(span_mask(spans, video.num_frames) if moments else None)
        jobs.append(Job(video, expressions, masks))
    return jobs
