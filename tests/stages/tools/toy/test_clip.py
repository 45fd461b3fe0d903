"""The clips themselves: truth of the sentences, look-alikes, determinism."""

import numpy as np
import pytest

from schemas.errors import ConfigError
from stages.tools.toy.appearance import ROUND
from stages.tools.toy.clip import IDS_PER_CLIP, ToyClip, make_clip
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.motions import ARGUABLE, DIRECTIONS, KINDS, Action, Trajectory
from stages.tools.toy.scene import SceneObject
from stages.tools.toy.sentences import Description

CONFIG = ToyConfig(size=64)
CLIPS = 32
VISIBLE_SHARE = 0.95
STEADY_PIXELS = 0.75
"""Most that a centroid may move through the last 5 percent of occlusion, at 64 pixels."""


@pytest.fixture(scope="module")
def clips() -> list[ToyClip]:
    return [make_clip(CONFIG, "train", index) for index in range(CLIPS)]


def objects(clips: list[ToyClip]) -> list[tuple[ToyClip, int, SceneObject]]:
    return [(clip, n, obj) for clip in clips for n, obj in enumerate(clip.scene.objects)]


def centroids(mask: np.ndarray) -> np.ndarray:
    """(T,2) centre x, y in pixels of a mask (T,H,W); NaN where it is empty."""
    rows, columns = np.mgrid[: mask.shape[1], : mask.shape[2]]
    area = mask.sum((1, 2)).astype(float)
    area[area == 0] = np.nan
    return np.stack([(mask * columns).sum((1, 2)), (mask * rows).sum((1, 2))], 1) / area[:, None]


def undisturbed(clip: ToyClip, number: int) -> np.ndarray:
    """Whether an object is entirely visible, (T,): nothing near it, not cut by frame or bar."""
    obj = clip.scene.objects[number]
    reach = obj.reach() * 1.3
    clear = np.ones(len(clip.frames), bool)
    for other in clip.scene.objects:
        if other is not obj:
            gap = obj.trajectory.distance(other.trajectory)
            clear &= gap > reach + other.reach() * 1.3
    area = clip.masks[clip.anno_id(number)].sum((1, 2)) / obj.reach() ** 2
    return clear & (area > VISIBLE_SHARE * np.median(area[clear])) if clear.any() else clear


def active(obj: SceneObject, frames: int) -> np.ndarray:
    """Whether the object does anything, (T,)."""
    busy = np.zeros(frames, bool)
    for action in obj.actions:
        busy[action.start : action.end] = True
    return busy


def test_equal_arguments_give_equal_clips():
    first, second = make_clip(CONFIG, "dev", 3), make_clip(CONFIG, "dev", 3)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.labels, second.labels)
    assert first.expressions == second.expressions


def test_splits_and_seeds_share_no_clip():
    clips = [make_clip(CONFIG, split, i) for split in ("train", "valid", "dev") for i in range(3)]
    clips += [make_clip(ToyConfig(size=64, seed=1), "train", i) for i in range(3)]
    assert len({clip.frames.tobytes() for clip in clips}) == len(clips)


def test_the_size_changes_the_pixels_but_not_the_plan():
    small, large = make_clip(CONFIG, "train", 5), make_clip(ToyConfig(size=96), "train", 5)
    assert [e.text for e in small.expressions] == [e.text for e in large.expressions]
    assert [o.actions for o in small.scene.objects] == [o.actions for o in large.scene.objects]


def test_resting_objects_rest_in_the_masks(clips):
    """Between actions, an object seen whole keeps its exact mask from frame to frame."""
    compared = 0
    for clip, number, obj in objects(clips):
        mask, clear = clip.masks[clip.anno_id(number)], undisturbed(clip, number)
        quiet = ~active(obj, len(mask)) & clear
        for t in range(1, len(mask)):
            if quiet[t] and quiet[t - 1]:
                assert np.array_equal(mask[t], mask[t - 1]), (clip.video_id, number, t)
                compared += 1
    assert compared > 200


def test_directions_show_in_the_centroids(clips):
    """Inside a span the centroid goes the named way and no other, far enough to be seen."""
    compared = 0
    for clip, number, obj in objects(clips):
        centre, clear = centroids(clip.masks[clip.anno_id(number)]), undisturbed(clip, number)
        for action in obj.actions:
            last = min(action.end, len(centre) - 1)
            if action.kind in DIRECTIONS and clear[[action.start - 1, last]].all():
                move = centre[last] - centre[action.start - 1]
                way = np.array(DIRECTIONS[action.kind])
                assert move @ way > 0.15 * CONFIG.size
                assert abs(move @ way[::-1]) < STEADY_PIXELS
                compared += 1
    assert compared > 5


def test_growing_and_shrinking_show_in_the_areas(clips):
    compared = 0
    for clip, number, obj in objects(clips):
        area = clip.masks[clip.anno_id(number)].sum((1, 2)).astype(float)
        clear = undisturbed(clip, number)
        for action in obj.actions:
            last = min(action.end, len(area) - 1)
            if action.kind in ("grow", "shrink") and clear[[action.start - 1, last]].all():
                ratio = area[last] / area[action.start - 1]
                assert ratio > 1.5 if action.kind == "grow" else ratio < 1 / 1.5
                compared += 1
    assert compared > 5


def test_who_leaves_is_gone_for_a_while_and_comes_back(clips):
    leavers = [
        (clip, number, action)
        for clip, number, obj in objects(clips)
        for action in obj.actions
        if action.kind == "leave"
    ]
    assert leavers
    for clip, number, action in leavers:
        area = clip.masks[clip.anno_id(number)].sum((1, 2))
        assert (area[action.start : action.end] == 0).any()
        outside = np.ones(len(area), bool)
        outside[action.start : action.end] = False
        assert (area[outside] > 0).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_of_a_span_and_no_other_differs_from_rest(kind):
    action = Action(kind, 5, 11, amount=0.5, exit="left")
    trajectory = Trajectory.resting(20, 0.5, 0.5, 0.1)
    trajectory.apply(action)
    poses = np.stack([trajectory.x, trajectory.y, trajectory.scale, trajectory.angle], 1)
    assert np.ptp(poses[:5], axis=0).max() == 0
    assert np.ptp(poses[11:], axis=0).max() < 1e-12
    for t in range(5, 11):
        assert np.abs(poses[t] - poses[4]).max() > 1e-6
    changes = np.abs(np.diff(poses, axis=0)).max(1)
    if kind not in ("jump", "leave"):
        assert (changes[4:11] > 1e-6).all()


def test_round_shapes_never_spin(clips):
    for _, _, obj in objects(clips):
        if obj.appearance.shape in ROUND:
            assert all(action.kind != "spin" for action in obj.actions)


def test_own_actions_never_overlap(clips):
    for _, _, obj in objects(clips):
        for first, second in zip(obj.actions, obj.actions[1:], strict=False):
            assert first.end < second.start


def test_look_alikes_never_touch(clips):
    for clip in clips:
        for number, obj in enumerate(clip.scene.objects):
            for other in clip.scene.objects[number + 1 :]:
                if obj.appearance == other.appearance:
                    gap = obj.trajectory.distance(other.trajectory)
                    assert (gap > obj.reach() + other.reach()).all()


def fitting(clip: ToyClip, description: Description) -> list[int]:
    """Places of the objects that the nouns fit, from the category's words alone."""
    words = {w for w in (description.colour, description.shape) if w}
    return [
        number
        for number, obj in enumerate(clip.scene.objects)
        if words <= set(obj.appearance.category.split())
    ]


def test_referents_are_exactly_those_that_do_it_and_moments_are_their_spans(clips):
    for clip in clips:
        for expression in clip.expressions:
            kind = expression.description.kind
            doing: dict[int, tuple[tuple[int, int], ...]] = {}
            for number in fitting(clip, expression.description):
                actions = clip.scene.objects[number].actions
                doing[number] = tuple((a.start, a.end) for a in actions if a.kind == kind)
            assert expression.moments == {number: spans for number, spans in doing.items() if spans}


def test_every_target_sentence_has_a_look_alike_that_is_no_referent(clips):
    targets = 0
    for clip in clips:
        for expression in clip.expressions:
            if expression.moments:
                scene = clip.scene.objects
                appearances = {scene[number].appearance for number in expression.moments}
                others = [
                    obj
                    for number, obj in enumerate(scene)
                    if number not in expression.moments and obj.appearance in appearances
                ]
                assert others, (clip.video_id, expression.text)
                targets += 1
    assert targets > CLIPS


def test_no_other_member_of_the_class_does_something_that_the_words_might_mean(clips):
    for clip in clips:
        for expression in clip.expressions:
            kind = expression.description.kind
            for number in fitting(clip, expression.description):
                kinds = {action.kind for action in clip.scene.objects[number].actions}
                assert not kinds & ARGUABLE.get(kind, frozenset())
                assert all(kind not in ARGUABLE.get(other, ()) for other in kinds)


def test_singular_sentences_have_at_most_one_referent(clips):
    for clip in clips:
        for expression in clip.expressions:
            shape = expression.description.shape or "object"
            singular = shape in expression.text.split() and not expression.text.startswith("every")
            if singular:
                assert len(expression.moments) <= 1


def test_all_sorts_of_expressions_occur(clips):
    numbers = [len(expression.moments) for clip in clips for expression in clip.expressions]
    share = {n: numbers.count(n) / len(numbers) for n in (0, 1, 2)}
    assert share[0] > 0.08
    assert share[1] > 0.4
    assert share[2] > 0.1
    starts = [
        start >= CONFIG.frames / 2
        for clip in clips
        for expression in clip.expressions
        for spans in expression.moments.values()
        for start, _ in spans
    ]
    assert np.mean(starts) > 0.45


def test_sentences_of_a_clip_differ(clips):
    for clip in clips:
        texts = [expression.text for expression in clip.expressions]
        assert len(set(texts)) == len(texts)


def test_masks_are_disjoint_and_ids_unique(clips):
    ids = [anno for clip in clips for anno in clip.masks]
    assert len(set(ids)) == len(ids)
    for clip in clips:
        assert len(clip.scene.objects) <= IDS_PER_CLIP
        assert sum(mask.astype(int) for mask in clip.masks.values()).max() <= 1


def test_masks_lie_on_the_colour_they_are_named_after():
    clip = make_clip(ToyConfig(size=96, style="plain"), "train", 0)
    background = np.median(clip.frames[:, :4, :4].reshape(-1, 3), axis=0)
    for number in range(len(clip.scene.objects)):
        inside = clip.frames[clip.labels == number + 1].astype(float)
        assert np.abs(np.median(inside, axis=0) - background).max() > 60


def test_plain_style_has_a_flat_background():
    clip = make_clip(ToyConfig(size=64, style="plain"), "train", 1)
    corner = clip.frames[clip.labels == 0]
    assert np.mean(np.abs(corner - np.median(corner, axis=0)).max(1) <= 1) > 0.9


def test_more_objects_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr("stages.tools.toy.scene.SCENE_TRIES", 0)
    with pytest.raises(ConfigError, match="no room"):
        make_clip(CONFIG, "train", 0)


def test_odd_sizes_and_impossible_shares_are_refused():
    with pytest.raises(ConfigError, match="even"):
        ToyConfig(size=65)
    with pytest.raises(ConfigError, match="at most 1"):
        ToyConfig(no_target=0.7, several=0.6)
