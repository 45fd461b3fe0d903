"""Image-text-to-text models as judges: a question about an outlined object, and the odds of "yes".

A prompt shows frames of one window with the track outlined in red, and asks whether the sentence is
true of it. The score is the probability of "yes" against "no" as the first word of the answer: no
prose is generated or parsed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.engine.runtime import Runtime
from stages.tools.select_moments.config import SelectConfig, source_name
from stages.tools.select_moments.judges.drawing import outlined
from stages.tools.select_moments.judges.judge import Advance, Case, Scores, ScoringJudge
from stages.tools.select_moments.judges.looking import Plan
from stages.tools.select_moments.judges.odds import OddsModel, Questions
from stages.tools.select_moments.judges.windows import spread_windows

QUESTION = (
    "These are {frames} of a video, in order of time. One object has a red outline. Is the "
    'following true of the object with the red outline, in these frames? "{sentence}" Answer with '
    "yes or no."
)
_WINDOWS_PER_BATCH = 4


@dataclass(frozen=True)
class _Asked:
    """The questions about one window of a track.

    Attributes:
        anno_id, place: track, and number of the window.
        sentences: that the questions are about.
        questions: about the window's images.
    """

    anno_id: str
    place: int
    sentences: Sequence[str]
    questions: Questions


class QuestionJudge(ScoringJudge):
    """Judges tracks by the answers of an image-text-to-text model.

    The images of a window are encoded once for all distinct sentences that may mean the track.

    Args:
        config: of the run.
        runtime: device and precision.

    Raises:
        TglError: as ``OddsModel``.
    """

    def __init__(self, config: SelectConfig, runtime: Runtime):
        super().__init__(config)
        self.source = source_name(config.model)
        self._model = OddsModel(config.model, runtime)

    def scores(self, case: Case, advance: Advance) -> Scores:
        """See ``ScoringJudge``."""
        plan = Plan.of(case, self._config)
        answers: dict[tuple[str, str, int], float] = {}
        batch: list[_Asked] = []
        for asked in self._windows(case, plan, advance):
            batch.append(asked)
            if len(batch) == _WINDOWS_PER_BATCH:
                answers |= self._answers(batch)
                batch.clear()
        answers |= self._answers(batch)
        frames = np.zeros((len(case.pairs), case.video.num_frames))
        for number, pair in enumerate(case.pairs):
            text = case.expressions[pair.row].text
            windows = [
                answers.get((text, pair.anno_id, place), np.nan)
                for place in range(len(plan.windows))
            ]
            spread = spread_windows(np.array(windows), plan.windows, case.video.num_frames)
            frames[number] = spread * case.visible(pair.anno_id)
        return Scores(frames)

    def _windows(self, case: Case, plan: Plan, advance: Advance) -> Iterator[_Asked]:
        """Windows in order of time; a frame's image is kept while a window still needs it."""
        sentences: dict[str, dict[str, None]] = defaultdict(dict)
        for pair in case.pairs:
            sentences[pair.anno_id][case.expressions[pair.row].text] = None
        uses = Counter(
            (name, frame)
            for name, windows in plan.samples.items()
            for frames in windows
            for frame in frames
        )
        last: dict[int, list[tuple[str, int]]] = defaultdict(list)  # windows by their last frame
        for name, windows in plan.samples.items():
            for place, frames in enumerate(windows):
                if frames:
                    last[max(frames)].append((name, place))
        kept: dict[tuple[str, int], np.ndarray] = {}
        for look in plan.looks(case):
            for name, mask in look.masks.items():
                kept[name, look.frame] = outlined(look.pixels, mask)
            for name, place in last[look.frame]:
                keys = [(name, frame) for frame in plan.samples[name][place]]
                images = [kept[key] for key in keys if key in kept]
                texts = [question(sentence, len(images)) for sentence in sentences[name]]
                if images and texts:
                    yield _Asked(name, place, list(sentences[name]), Questions(images, texts))
                uses.subtract(keys)
                for key in keys:
                    if not uses[key]:
                        kept.pop(key, None)
            advance(1)

    def _answers(self, batch: Sequence[_Asked]) -> dict[tuple[str, str, int], float]:
        """The odds of yes by sentence, track and window."""
        odds = self._model.odds([asked.questions for asked in batch])
        return {
            (sentence, asked.anno_id, asked.place): value
            for asked, own in zip(batch, odds, strict=True)
            for sentence, value in zip(asked.sentences, own, strict=True)
        }


def question(sentence: str, frames: int) -> str:
    """The question about a window of some frames."""
    shown = "one frame" if frames == 1 else f"{frames} frames"
    return QUESTION.format(frames=shown, sentence=sentence.strip())
