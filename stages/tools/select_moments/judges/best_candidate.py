"""No judge: the best candidate of each sentence."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import MissingInput
from schemas.layouts import TRACKS_TABLE
from schemas.parquet import read_table
from schemas.tables import TRACKS
from stages.core.media.spans import spans_of
from stages.tools.select_moments.judges.judge import Advance, Case, Judge, Verdict


class BestCandidateJudge(Judge):
    """Accepts the one track of a sentence whose candidates' score times quality is highest.

    Its moment is the frames that show it. Nothing looks at the frames, so that this is the
    detector's and the tracker's own choice.

    Args:
        folder: an index of `tgl track`.

    Attributes:
        scores: by video, sentence and track.

    Raises:
        MissingInput: it has no table of tracks.
    """

    source = "best candidate"

    def __init__(self, folder: Path):
        path = folder / TRACKS_TABLE
        if not os.path.lexists(path):
            raise MissingInput(
                f"has no {TRACKS_TABLE}, from which --model none takes the best candidate",
                where=folder,
                hint="name an index of tgl track",
            )
        names = ["video_id", "expression_id", "anno_id", "score", "quality"]
        columns = (read_table(path, TRACKS, columns=names).column(n).to_pylist() for n in names)
        self.scores = {
            (video, name, anno): score * quality
            for video, name, anno, score, quality in zip(*columns, strict=True)
        }

    def judge(self, case: Case, advance: Advance) -> list[Verdict]:
        """See ``Judge``."""
        scores = [
            self.scores.get((*case.expressions[pair.row].key, pair.anno_id), 0.0)
            if case.visible(pair.anno_id).any()
            else -1.0
            for pair in case.pairs
        ]
        best: dict[int, int] = {}
        for number, pair in enumerate(case.pairs):
            if scores[number] > scores[best.get(pair.row, number)] or pair.row not in best:
                best[pair.row] = number
        advance(case.video.num_frames)
        return [
            self._accept(case, number, scores[number])
            if best[pair.row] == number and scores[number] >= 0
            else Verdict(pair, accepted=False, score=max(scores[number], 0.0))
            for number, pair in enumerate(case.pairs)
        ]

    def _accept(self, case: Case, number: int, score: float) -> Verdict:
        pair = case.pairs[number]
        spans = spans_of(case.visible(pair.anno_id))
        return Verdict(pair, True, score, tuple((span, score) for span in spans))
