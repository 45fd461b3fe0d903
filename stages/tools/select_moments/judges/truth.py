"""The reference that knows the true masks: it accepts the tracks that follow a referent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from schemas.errors import MissingInput
from stages.core.index.index import Expression, Index
from stages.core.index.masks import Track
from stages.core.media.spans import Span, spans_of
from stages.tools.select_moments.judges.judge import Advance, Case, Judge, Pair, Verdict

SAME_OBJECT = 0.5
"""IoU over time from which a track follows a referent."""


class TruthJudge(Judge):
    """Accepts a track whose masks overlap those of one of the sentence's referents.

    Its moment is the referent's annotated one, or the frames that show the referent where none is
    annotated. What masks from its verdicts lack is what tracking lost.

    Args:
        folder: an index with true masks of the same videos and sentences.

    Raises:
        MissingInput: it has no masks.
    """

    source = "truth (reference)"

    def __init__(self, folder: Path):
        self._index = Index.open(folder)
        if not self._index.masks.has_rows:
            raise MissingInput("has no masks", where=folder, hint="name an index with true masks")
        self._sentences = {expression.key: expression for expression in self._index.expressions}

    def judge(self, case: Case, advance: Advance) -> list[Verdict]:
        """See ``Judge``.

        Raises:
            MissingInput: the index lacks the video's sentence.
        """
        found = [self._verdict(case, pair) for pair in case.pairs]
        advance(case.video.num_frames)
        return found

    def _verdict(self, case: Case, pair: Pair) -> Verdict:
        expression = case.expressions[pair.row]
        true = self._sentences.get(expression.key)
        if true is None:
            raise MissingInput(
                f"has no sentence {expression.expression_id} of video {expression.video_id}",
                where=self._index.folder,
                hint="name the index that the tracks were made for",
            )
        best, referent = 0.0, None
        for anno_id in true.anno_ids:
            iou = track_iou(case.tracks[pair.anno_id], self._index.masks.frames_of(anno_id))
            if iou > best:
                best, referent = iou, anno_id
        if referent is None or best < SAME_OBJECT:
            return Verdict(pair, accepted=False, score=best)
        spans = self._moment(true, referent, case.video.num_frames)
        return Verdict(pair, bool(spans), best, tuple((span, best) for span in spans))

    def _moment(self, expression: Expression, referent: str, num_frames: int) -> Sequence[Span]:
        """The annotated spans of a referent, maybe none, or those in which it is visible."""
        moments = self._index.moments(*expression.key)
        if referent in moments or None in moments:
            return [*moments.get(referent, []), *moments.get(None, [])]
        visible = np.zeros(num_frames, bool)
        visible[list(self._index.masks.frames_of(referent))] = True
        return spans_of(visible)


def track_iou(one: Track, other: Track) -> float:
    """Compute the intersection over union of two tracks, over all pixels of all frames."""
    shared = union = 0
    for frame in {*one, *other}:
        masks = [track[frame] for track in (one, other) if frame in track]
        areas = int(coco.area(masks).sum())
        both = 0
        if len(masks) > 1 and list(masks[0]["size"]) == list(masks[1]["size"]):
            both = int(coco.area(coco.merge(masks, intersect=True)))
        shared += both
        union += areas - both
    return shared / union if union else 0.0
