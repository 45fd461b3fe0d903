"""Statistics of an index, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from describe_mini import SENTENCES, write_index

from stages.core.media.spans import span_mask
from stages.tools.describe.config import DescribeConfig
from stages.tools.describe.describe import describe
from stages.tools.describe.statistics import POSITIONS, distribution


@pytest.fixture
def document(index: Path) -> dict:
    return describe(index, DescribeConfig()).document


def test_videos_and_sentences(document: dict) -> None:
    videos, sentences = document["videos"], document["sentences"]
    assert (videos["count"], videos["frames"]) == (2, 30)
    # Of b the rate is not known: 10 frames of a at 5 per second.
    assert (videos["seconds"], videos["with_frame_rate"]) == (2.0, 1)
    assert videos["sentences_per_video"]["mean"] == 3
    assert (sentences["count"], sentences["distinct"]) == (6, 5)
    assert [sentences[name] for name in ("with_moments", "no_target", "never_true")] == [4, 1, 0]
    assert sentences["without_known_moments"] == 1
    assert sentences["no_target_share"] == pytest.approx(1 / 6)
    # 4, 6, 5 (isn't is one word), 4, 3 and 2 words.
    assert sentences["words_per_sentence"]["mean"] == 4
    # the dog that jumps, two dogs one after other, man who isn't there, both red cars, car.
    assert sentences["words"] == 17


def test_referents(document: dict) -> None:
    referents = document["referents"]
    assert referents["objects"] == 4
    assert referents["per_sentence"]["mean"] == pytest.approx(7 / 5)
    groups = {group["referents"]: group["sentences"] for group in referents["sentences_by_number"]}
    assert groups == {0: 1, 1: 3, 2: 2}
    # a/1: [0, 3) apart from [3, 5) and [7, 10). b/1: [4, 10) and [9, 14) share frame 9.
    assert (referents["several_with_moments_of_each"], referents["disjoint"]) == (2, 1)
    assert referents["disjoint_share"] == 0.5


def test_moments(document: dict) -> None:
    moments = document["moments"]
    # The two spans of b_1 in b/1 touch and are one, so eight rows are seven spans.
    assert (moments["spans"], moments["merged_rows"]) == (7, 1)
    assert moments["sources"] == {"annotated": 8}
    # Of all referents together: a/0 1, a/1 2 ([0, 5) and [7, 10)), b/0 1, b/1 1 ([4, 14)).
    assert moments["spans_per_sentence"]["mean"] == pytest.approx(5 / 4)
    assert moments["several_spans_share"] == 0.25
    assert moments["whole_video_share"] == 0.25
    # Per referent: 1, 1, 2, 1, 1, 1.
    assert moments["spans_per_referent"]["mean"] == pytest.approx(7 / 6)
    assert moments["coverage_of_video"]["mean"] == pytest.approx((4 / 10 + 8 / 10 + 1 + 0.5) / 4)
    # a_1 in a/0: 4 of 8; in a/1: 3 of 8; a_2: frames 3, 4, 8, 9 of 5; b_1: 20 of 20 and 6 of 20;
    # b_2 in b/1: frames 10 to 13 of 10.
    visible = [4 / 8, 3 / 8, 4 / 5, 1, 6 / 20, 4 / 10]
    assert moments["coverage_of_visible_frames"]["mean"] == pytest.approx(np.mean(visible))
    # Frame 7 of a_2 and frame 9 of b_2 lie in spans without a mask, of 4 + 3 + 5 + 20 + 6 + 5.
    assert moments["span_frames_without_mask_share"] == pytest.approx(2 / 43)
    lengths = [4, 3, 2, 3, 20, 6, 5]
    assert moments["span_frames"]["mean"] == pytest.approx(np.mean(lengths))
    assert moments["span_seconds"]["samples"] == 4
    assert moments["span_seconds"]["mean"] == pytest.approx(12 / 4 / 5)
    assert moments["starts"]["mean"] == pytest.approx((0.2 + 0 + 0.3 + 0.7 + 0 + 0.2 + 0.45) / 7)
    assert moments["from_first_frame_share"] == pytest.approx(2 / 7)
    assert moments["to_last_frame_share"] == pytest.approx(2 / 7)


def test_a_frame_rate_can_be_given(index: Path) -> None:
    document = describe(index, DescribeConfig(fps=10.0)).document
    assert document["videos"]["seconds"] == 2 + 20 / 10
    assert document["moments"]["span_seconds"]["samples"] == 7


def test_positions_are_the_frames_that_are_true(index: Path) -> None:
    found = describe(index, DescribeConfig())
    spans = {"a": [[(2, 6)], [(0, 5), (7, 10)]], "b": [[(0, 20)], [(4, 14)]]}
    frames = {"a": 10, "b": 20}
    expected = sum(
        np.repeat(span_mask(sentence, frames[video]), POSITIONS // frames[video])
        for video, sentences in spans.items()
        for sentence in sentences
    )
    assert found.samples.positions.tolist() == expected.tolist()


def test_a_test_split_says_nothing_of_referents(tmp_path: Path) -> None:
    sentences = [(video, name, text, ()) for video, name, text, _ in SENTENCES]
    folder = write_index(tmp_path / "test", spans=(), sentences=sentences)
    document = describe(folder, DescribeConfig()).document
    assert document["sentences"]["no_target"] == 0
    assert document["sentences"]["no_target_share"] is None
    assert document["sentences"]["without_known_moments"] == 6
    assert document["referents"]["objects"] is None
    assert document["referents"]["per_sentence"] is None
    assert document["moments"]["coverage_of_video"] is None


def test_moments_of_all_referents_together(tmp_path: Path) -> None:
    folder = write_index(tmp_path / "index", spans=[("a", "1", None, 0, 4)])
    moments = describe(folder, DescribeConfig()).document["moments"]
    assert moments["of_all_referents_together"] == 1
    assert moments["spans"] == 1
    assert moments["spans_per_referent"] is None


def test_distribution() -> None:
    assert distribution([]) is None
    found = distribution([1, 2, 3, 4, 10])
    assert found == {
        "samples": 5,
        "mean": 4.0,
        "median": 3.0,
        "lower_quartile": 2.0,
        "upper_quartile": 4.0,
        "least": 1.0,
        "most": 10.0,
    }
