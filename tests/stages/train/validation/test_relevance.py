"""Relevance of whole videos: what inference computes, ranked against the moments."""

from pathlib import Path

import numpy as np
import pytest
import torch
from train_mini import FRAMES, SIZE

from stages.core.index.index import Expression, Index
from stages.core.index.texts import TextStore
from stages.core.model.backbones.families import load_backbone
from stages.core.model.config import ModelConfig
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.train.config import TrainInputs
from stages.train.validation.relevance import (
    CONTROL_SENTENCES,
    RankedFrames,
    control_sentences,
    rank_frames,
    relevance_scores,
)
from stages.train.validation.videos import KeptVideos

TOLERANCE = 1e-5


@pytest.fixture
def model(backbone: Path) -> TglModel:
    torch.manual_seed(0)
    sizes = ModelConfig(adapter_width=16, adapter_layers=1, adapter_heads=2)
    return TglModel(sizes, load_backbone(backbone), 16).eval()


def sentence(video: str, name: str, text: str) -> Expression:
    return Expression(video, name, text, (), ())


def ranked(scores: list[float], relevant: list[int], control: list[float] | None) -> RankedFrames:
    other = None if control is None else np.array(control)
    return RankedFrames(np.array(scores), np.array(relevant, bool), other)


def test_logits_are_those_of_the_model_on_the_whole_video(
    model: TglModel, inputs: TrainInputs
) -> None:
    index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
    sentences = index.expressions_of("one")
    other = [sentence("two", "9", sentences[1].text)]
    with KeptVideos(model.encode_frames, SIZE, torch.device("cpu"), decoders=1)(
        index.videos["one"]
    ) as features:
        found = rank_frames(model, index, texts, features, sentences, other)
        known = [e for e in sentences if e.expression_id != "3"]  # its moment is not annotated
        text = TextBatch.of([texts.get(e.text) for e in known])
        with torch.no_grad():
            expected = model.relevance(features.of(range(FRAMES)), text).numpy()
    assert list(found) == [e.key for e in known]
    for row, one in enumerate(found.values()):
        assert np.abs(one.scores - expected[row]).max() <= TOLERANCE
        assert (one.control is None) == (row > 0)
    first = found["one", "0"]
    assert first.relevant.tolist() == index.relevant("one", "0").tolist()
    assert first.control is not None
    assert np.abs(first.control - expected[1]).max() <= TOLERANCE
    assert not found["one", "2"].relevant.any()  # without target


def test_a_video_without_known_moments_is_left_out(model: TglModel, inputs: TrainInputs) -> None:
    index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
    unknown = [e for e in index.expressions_of("one") if e.expression_id == "3"]
    with KeptVideos(model.encode_frames, SIZE, torch.device("cpu"), decoders=1)(
        index.videos["one"]
    ) as features:
        assert rank_frames(model, index, texts, features, unknown, []) == {}


def test_scores_over_all_frames_and_per_sentence() -> None:
    found = relevance_scores(
        [
            ranked([3, 2, 1, 0], [1, 1, 0, 0], [0, 1, 2, 3]),  # in order, the control reversed
            ranked([9, 8, 7, 6], [0, 0, 0, 1], None),
            ranked([-1, -2, -3, -4], [0, 0, 0, 0], None),  # without target
        ]
    )
    assert found == pytest.approx(
        {
            "relevance_auc": (6 + 6 + 6) / (3 * 9),
            "relevance_ap": (1 / 4 + 2 / 5 + 3 / 6) / 3,
            "relevance_auc_per_sentence": 0.5,
            "relevance_ap_per_sentence": (1 + 1 / 4) / 2,
            "relevance_auc_other": 0.0,
        }
    )


def test_measures_that_are_not_defined_are_left_out() -> None:
    assert relevance_scores([]) == {}
    assert relevance_scores([ranked([1, 2], [0, 0], [1, 2])]) == {}
    assert set(relevance_scores([ranked([1, 2], [1, 1], None)])) == {"relevance_ap"}


def test_the_control_is_of_the_next_video_and_says_something_else() -> None:
    chosen = {
        "a": [sentence("a", "0", "a dog"), sentence("a", "1", "a cat")],
        "b": [sentence("b", str(k), text) for k, text in enumerate(("a cat", "x", "y", "z"))],
    }
    assert [e.text for e in control_sentences(chosen, "a")] == ["x", "y"][:CONTROL_SENTENCES]
    assert [e.text for e in control_sentences(chosen, "b")] == ["a dog"]
    assert control_sentences({"a": chosen["a"]}, "a") == []
