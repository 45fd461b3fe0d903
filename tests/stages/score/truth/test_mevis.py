"""Ground truth from MeViS: the byte ranges of tracks, and faults of the meta file."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import CorruptInput
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE
from stages.score.truth.mevis import find_tracks, read_mevis

# What compressed RLEs are made of, quotes and backslashes of JSON among what may precede them.
COUNTS = st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40)
KEYS = st.text(min_size=1, max_size=6).filter(lambda key: key not in ("counts", "size"))
RLES = st.one_of(
    st.none(),
    st.fixed_dictionaries({"size": st.just([480, 854]), "counts": COUNTS}),
    st.fixed_dictionaries({"counts": COUNTS, "size": st.just([480, 854])}),
    st.fixed_dictionaries({"size": st.just([2, 3]), "counts": st.lists(st.integers(0, 6))}),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tracks=st.dictionaries(KEYS, st.lists(RLES, max_size=5), max_size=6),
    indent=st.sampled_from([None, 0, 1]),
    ascii_only=st.booleans(),
)
def test_every_track_is_found_where_it_lies(tmp_path, tracks, indent, ascii_only):
    path = tmp_path / "mask_dict.json"
    path.write_text(json.dumps(tracks, indent=indent, ensure_ascii=ascii_only), "utf-8")
    content = path.read_bytes()
    found = {key: json.loads(content[first:end]) for key, (first, end) in find_tracks(path).items()}
    assert found == tracks


def test_a_file_cut_off_is_told_by_the_track_that_it_hits(tmp_path):
    path = tmp_path / "mask_dict.json"
    content = json.dumps({"7": [{"size": [2, 2], "counts": "04"}] * 3, "8": [None] * 3})
    path.write_text(content[: len(content) // 2])
    places = find_tracks(path)
    assert set(places) <= {"7", "8"}
    path.write_text("")
    with pytest.raises(CorruptInput, match="is empty"):
        find_tracks(path)
    path.write_text("[1, 2]")
    with pytest.raises(CorruptInput, match="is cut off"):
        find_tracks(path)


META_FAULTS = {
    "is not readable JSON": lambda meta: "{",
    "videos: a JSON object is needed": lambda meta: json.dumps({"clips": {}}),
    "expressions of video a: a JSON object is needed": lambda meta: json.dumps(
        {"videos": {"a": {"frames": ["0"]}}}
    ),
    "a JSON object is needed, found list": lambda meta: "[]",
}


@pytest.mark.parametrize("message", META_FAULTS)
def test_a_broken_meta_file_is_one_line(mevis, message):
    split = mevis.write()
    (split / "meta_expressions.json").write_text(META_FAULTS[message](mevis.meta))
    with pytest.raises(CorruptInput, match=message):
        read_mevis(split)


@pytest.mark.parametrize(("key", "value"), [("exp", "\ud800"), ("anno_id", "\ud800")])
def test_half_a_surrogate_is_no_text(mevis, key, value):
    mevis.expression("a", "0")[key] = value
    with pytest.raises(CorruptInput, match=r"video a, expression 0: .* half of a surrogate pair"):
        read_mevis(mevis.write())


def test_a_split_without_sentences_is_refused(mevis, predictions, run_stage, tmp_path):
    mevis.meta["videos"] = {}
    inputs = ScoreInputs(predictions.root, mevis.write())
    with pytest.raises(CorruptInput, match="no expression with a frame to score"):
        run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "scores")


def test_version_2_names_its_file_otherwise(mevis):
    split = mevis.write(meta_name="meta_expressions_text_release.json")
    videos = read_mevis(split)
    assert [len(video.cases) for video in videos] == [3, 1]
    assert videos[0].cases[2].tracks == ()
    assert videos[0].cases[1].spans == ((0, 2), (0, 1), (4, 6))


def test_names_that_leave_the_folder_are_refused(mevis):
    mevis.meta["videos"]["../../x"] = mevis.meta["videos"].pop("b")
    with pytest.raises(CorruptInput, match="begins or ends with a dot"):
        read_mevis(mevis.write(frames=False))
