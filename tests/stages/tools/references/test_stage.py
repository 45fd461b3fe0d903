"""References of a toy split, from the data set to the masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError, CorruptInput, MissingInput, SchemaMismatch
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.tools.references.config import ReferencesConfig, ReferencesInputs
from stages.tools.references.stage import STAGE
from stages.tools.toy.clip import ToyClip, make_clip
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY

TOY_CONFIG = ToyConfig(size=40, frames=16, train_clips=2, valid_clips=0, dev_clips=0)


def work(stage, config, inputs, out: Path):
    return execute(
        stage, config, inputs, out, runtime=Runtime(workers=1), progress=SilentProgress()
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("references")
    work(TOY, TOY_CONFIG, ToyInputs(), root / "toy")
    work(BUILD_MOMENTS, IndexConfig(), IndexInputs(root / "toy" / "train"), root / "index")
    return root


def refer(root: Path, out: Path, kind: str, *, objects: bool = True):
    inputs = ReferencesInputs(root / "index", root / "toy/train/objects.json" if objects else None)
    return work(STAGE, ReferencesConfig(kind=kind), inputs, out)


def pictures(out: Path, clip: ToyClip, expression: int) -> np.ndarray:
    """(T, H, W) uint8 of an expression, every frame of the clip, nothing else."""
    folder = out / clip.video_id / str(expression)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{t:05d}.png" for t in range(len(clip.frames))]
    images = [Image.open(file) for file in files]
    assert {image.mode for image in images} == {"L"}
    return np.stack([np.asarray(image) for image in images])


def test_all_objects_are_the_union_of_all_masks_idle_ones_too(root, tmp_path):
    refer(root, tmp_path / "out", "all-objects")
    for index in range(TOY_CONFIG.train_clips):
        clip = make_clip(TOY_CONFIG, "train", index)
        for number in range(len(clip.expressions)):
            expected = (clip.labels > 0) * np.uint8(255)
            assert np.array_equal(pictures(tmp_path / "out", clip, number), expected)


def test_look_alikes_hold_the_referents_and_more(root, tmp_path):
    refer(root, tmp_path / "out", "look-alikes")
    for index in range(TOY_CONFIG.train_clips):
        clip = make_clip(TOY_CONFIG, "train", index)
        for number, expression in enumerate(clip.expressions):
            things = clip.scene.objects
            looks = {things[place].appearance.category for place in expression.moments}
            if looks:
                like = [
                    p + 1 for p, thing in enumerate(things) if thing.appearance.category in looks
                ]
                expected = np.isin(clip.labels, like) * np.uint8(255)
                assert np.array_equal(pictures(tmp_path / "out", clip, number), expected)


def test_one_at_random_is_one_object(root, tmp_path):
    refer(root, tmp_path / "out", "one-at-random")
    clip = make_clip(TOY_CONFIG, "train", 0)
    for number in range(len(clip.expressions)):
        found = pictures(tmp_path / "out", clip, number) > 0
        assert sum(np.array_equal(found, mask) for mask in clip.masks.values()) == 1


def test_without_a_list_the_objects_are_the_referents(root, tmp_path):
    refer(root, tmp_path / "out", "all-objects", objects=False)
    index = Index.open(root / "index")
    clip = make_clip(TOY_CONFIG, "train", 0)
    named = {anno for e in index.expressions_of(clip.video_id) for anno in e.anno_ids}
    expected = np.any([clip.masks[anno] for anno in named], axis=0) * np.uint8(255)
    assert np.array_equal(pictures(tmp_path / "out", clip, 0), expected)


def test_look_alikes_without_a_list_are_refused(root, tmp_path):
    with pytest.raises(ConfigError, match="list of objects"):
        refer(root, tmp_path / "out", "look-alikes", objects=False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", CorruptInput),
        ("[]", CorruptInput),
        ('{"format": "tgl-toy-objects", "version": 2, "objects": {}}', SchemaMismatch),
        ('{"format": "tgl-toy-objects", "version": 1}', CorruptInput),
        ('{"format": "tgl-toy-objects", "version": 1, "objects": {"1": 5}}', CorruptInput),
        (
            '{"format": "tgl-toy-objects", "version": 1, "objects": {"1": {"video": 1, '
            '"category": 2}}}',
            CorruptInput,
        ),
    ],
)
def test_a_wrong_list_of_objects_is_one_clear_line(root, tmp_path, text, error):
    path = tmp_path / "objects.json"
    path.write_text(text)
    with pytest.raises(error, match=r"objects\.json") as caught:
        work(STAGE, ReferencesConfig(), ReferencesInputs(root / "index", path), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_named(root, tmp_path):
    inputs = ReferencesInputs(root / "index", tmp_path / "absent.json")
    with pytest.raises(MissingInput, match=r"absent\.json"):
        work(STAGE, ReferencesConfig(), inputs, tmp_path / "out")


def test_objects_of_other_videos_are_left_out(root, tmp_path):
    document = json.loads((root / "toy/train/objects.json").read_text())
    document["objects"]["9999"] = {"video": "elsewhere", "category": "red circle"}
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(document))
    outcome = work(
        STAGE, ReferencesConfig(), ReferencesInputs(root / "index", path), tmp_path / "out"
    )
    assert outcome.counts["videos"] == TOY_CONFIG.train_clips
    assert not (tmp_path / "out" / "elsewhere").exists()


def test_a_lost_picture_is_made_again(root, tmp_path):
    refer(root, tmp_path / "out", "all-objects")
    lost = next((tmp_path / "out").rglob("*.png"))
    before = lost.read_bytes()
    lost.unlink()
    assert not refer(root, tmp_path / "out", "all-objects").skipped
    assert lost.read_bytes() == before
    assert refer(root, tmp_path / "out", "all-objects").skipped
