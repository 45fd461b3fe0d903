"""Predictions and ground truth, as the page sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.core.browser.content import Json, Refused, not_found
from stages.core.browser.videos import Videos, check_range
from stages.core.index.index import Expression
from stages.core.media.spans import Span, span_mask, spans_of
from stages.tools.view.predictions import Prediction
from stages.tools.view.source import ViewSource

_READ_ONLY = 405


class ViewSession:
    """The content of view; see :class:`stages.core.browser.content.Content`.

    Args:
        about: title and the like, for the page.
        rows: numbers of the sentences to show, those with the lowest J&F first.
        predictions: at most two.
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        source: ViewSource,
        rows: Sequence[int],
        predictions: Sequence[Prediction],
    ):
        index = source.index
        masks = index.masks if index is not None and index.masks.has_rows else None
        self._about = about
        self._index = index
        self._truth = masks is not None
        self._expressions = source.expressions
        self._videos = Videos(source.videos, masks)
        self._predictions = predictions
        self._rows = sorted(rows, key=self._order)

    def session(self) -> Json:
        """Mode and predictions."""
        return {
            "mode": "view",
            "annotator": None,
            "blind": False,
            **self._about,
            "sentences": len(self._rows),
            "referents": self._truth,
            "sources": [],
            "predictions": [
                {"id": f"p{n}", "name": str(prediction.folder)}
                for n, prediction in enumerate(self._predictions)
            ],
        }

    def sentences(self) -> Json:
        """All sentences to show, the worst first if there are scores."""
        rows = [self._row(number) for number in self._rows]
        names = [video.video_id for video in self._videos.all]
        return {"count": len(rows), "video": names, "rows": rows}

    def video(self, number: int) -> Json:
        """Names, length, size and rate of a video."""
        return self._videos.facts(number)

    def frame(self, number: int, frame: int) -> tuple[bytes, str]:
        """A frame's file as it is."""
        return self._videos.frame(number, frame)

    def masks(self, number: int, sentence: int, referent: int, start: int, end: int) -> Json:
        """True masks of a referent by frame."""
        expression = self._known(sentence)
        if self._videos.of(number).video_id != expression.video_id:
            raise not_found("sentence of this video")
        return self._videos.masks(expression, referent, start, end)

    def sentence(self, number: int) -> Json:
        """Truth and predictions of a sentence."""
        expression = self._known(number)
        place = self._videos.numbers[expression.video_id]
        video = self._videos.of(place)
        return {
            "n": number,
            "video": place,
            "expression_id": expression.expression_id,
            "text": expression.text,
            "revision": 0,
            "status": "",
            "flag": False,
            "note": "",
            "seconds": 0.0,
            "undo": False,
            "redo": False,
            "truth": self._truth,
            "referents": self._referents(expression, video.num_frames),
            "lanes": {},
            "predictions": [
                prediction.state(video, expression.expression_id)
                for prediction in self._predictions
            ],
        }

    def prediction_masks(self, number: int, prediction: int, start: int, end: int) -> Json:
        """Predicted masks of a sentence by frame."""
        check_range(start, end)
        expression = self._known(number)
        if prediction >= len(self._predictions):
            raise not_found("prediction")
        video = self._videos.of(self._videos.numbers[expression.video_id])
        found = self._predictions[prediction]
        return {"frames": found.masks(video, expression.expression_id, start, end)}

    def act(self, number: int, action: Mapping[str, Any]) -> Json:
        """Refuse every action."""
        raise Refused(_READ_ONLY, "tgl view changes nothing")

    def _known(self, number: int) -> Expression:
        if number >= len(self._expressions):
            raise not_found("sentence")
        return self._expressions[number]

    def _scores(self, number: int) -> tuple[float | None, float | None]:
        """J&F of the first and of the second prediction."""
        key = self._expressions[number].key
        first, second, *_ = [*(one.jf(key) for one in self._predictions), None, None]
        return first, second

    def _order(self, number: int) -> tuple[bool, float, int]:
        score, _ = self._scores(number)
        return score is None, score or 0.0, number

    def _row(self, number: int) -> list[Any]:
        expression = self._expressions[number]
        place = self._videos.numbers[expression.video_id]
        texts = [expression.expression_id, expression.text]
        first, second = self._scores(number)
        return [place, *texts, "", 0, 0, first, number, second]

    def _referents(self, expression: Expression, frames: int) -> list[Json]:
        """The referents with the frames of their masks and moments."""
        found = {} if self._index is None else self._index.moments(*expression.key)
        shared = found.get(None, [])
        return [
            {
                "id": anno_id,
                "visible": [] if anno_id is None else self._videos.visible(anno_id),
                "spans": _merged([*found.get(anno_id, []), *shared], frames),
                "decided": bool(found),
            }
            for anno_id in expression.anno_ids or (None,)
        ]


def _merged(spans: Sequence[Span], frames: int) -> list[Span]:
    return spans_of(span_mask(spans, frames))
