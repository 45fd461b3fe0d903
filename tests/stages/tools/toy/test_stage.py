"""The artifact: MeViS layout, equal bytes, resumption."""

import hashlib
import json
from pathlib import Path

import ffmpeg
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.tools.toy import stage as toy
from stages.tools.toy.clip import make_clip
from stages.tools.toy.config import ToyConfig, ToyInputs

CONFIG = ToyConfig(size=48, frames=16, train_clips=2, valid_clips=1, dev_clips=1, expressions=4)


def build(out: Path, config: ToyConfig = CONFIG):
    return execute(
        toy.STAGE, config, ToyInputs(), out, runtime=Runtime(workers=1), progress=SilentProgress()
    )


def content(root: Path) -> dict[str, str]:
    """Digests of all data files by relative path."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.suffix in (".jpg", ".mp4", ".json") and path.name != "receipt.json"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("toy") / "out"
    outcome = build(root)
    assert outcome.counts["clips"] == 4
    return root


def test_layout_is_that_of_mevis(made):
    for split, clips in {"train": 2, "valid": 1, "dev": 1}.items():
        meta = json.loads((made / split / "meta_expressions.json").read_text())
        assert list(meta) == ["videos"]
        videos = [f"{split}_{index:04d}" for index in range(clips)]
        assert list(meta["videos"]) == videos
        for index, video in enumerate(videos):
            entry = meta["videos"][video]
            names = [f"{frame:05d}" for frame in range(CONFIG.frames)]
            assert sorted(entry) == ["expressions", "frames", "vid_id"]
            assert entry["vid_id"] == index
            assert entry["frames"] == names
            assert list(entry["expressions"]) == [str(i) for i in range(len(entry["expressions"]))]
            for expression in entry["expressions"].values():
                assert sorted(expression) == ["anno_id", "exp", "obj_id"]
                assert len(expression["anno_id"]) == len(expression["obj_id"])
                assert all(type(number) is int for number in expression["anno_id"])
            frames = sorted((made / split / "JPEGImages" / video).iterdir())
            assert [frame.name for frame in frames] == [f"{name}.jpg" for name in names]
            assert (made / split / "videos" / f"{video}.mp4").stat().st_size > 0


def test_masks_are_coco_rles_or_null_by_annotation_id(made):
    masks = json.loads((made / "train" / "mask_dict.json").read_text())
    clip = make_clip(CONFIG, "train", 1)
    for anno, truth in clip.masks.items():
        assert len(masks[anno]) == CONFIG.frames
        for entry, frame in zip(masks[anno], truth, strict=True):
            if entry is None:
                assert not frame.any()
            else:
                assert entry["size"] == [CONFIG.size, CONFIG.size]
                assert np.array_equal(coco.decode(entry).astype(bool), frame)


def test_moments_and_objects_agree_with_the_sentences(made):
    root = made / "train"
    meta = json.loads((root / "meta_expressions.json").read_text())["videos"]
    moments = json.loads((root / "moments.json").read_text())
    objects = json.loads((root / "objects.json").read_text())["objects"]
    assert (moments["format"], moments["version"], moments["frame_unit"]) == (
        "tgl-moments",
        1,
        "index",
    )
    for video, entry in meta.items():
        assert moments["videos"][video]["fps"] == CONFIG.fps
        for number, expression in entry["expressions"].items():
            spans = moments["videos"][video]["expressions"][number]["moments"]
            assert sorted(spans) == sorted(map(str, expression["anno_id"]))
            for anno, own in spans.items():
                assert objects[anno]["video"] == video
                done = [[a["start"], a["end"]] for a in objects[anno]["actions"]]
                assert own
                assert all(span in done for span in own)


def test_frames_on_disk_are_those_of_the_clip(made):
    clip = make_clip(CONFIG, "train", 0)
    frame = np.asarray(Image.open(made / "train" / "JPEGImages" / clip.video_id / "00007.jpg"))
    assert np.abs(frame.astype(int) - clip.frames[7]).mean() < 4


def test_the_video_contains_every_frame_in_order(made):
    clip = make_clip(CONFIG, "train", 0)
    path = made / "train" / "videos" / f"{clip.video_id}.mp4"
    raw, _ = (
        ffmpeg.input(str(path))
        .output("pipe:", format="rawvideo", pix_fmt="rgb24")
        .global_args("-loglevel", "error")
        .run(ffmpeg_binary(), capture_stdout=True)
    )
    decoded = np.frombuffer(raw, np.uint8).reshape(clip.frames.shape).astype(int)
    near = np.abs(decoded - clip.frames).mean((1, 2, 3))
    assert near.max() < 10  # colour is stored at half resolution
    moved = np.abs(decoded[1:] - clip.frames[:-1]).mean((1, 2, 3))
    assert (near[1:] < moved).all()


def test_two_runs_give_equal_bytes(made, tmp_path):
    build(tmp_path / "again")
    assert content(tmp_path / "again") == content(made)


def test_an_interrupted_run_resumes(made, tmp_path, monkeypatch):
    calls: list[str] = []
    honest = toy.make

    def dying(job):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(job.unit)
        return honest(job)

    monkeypatch.setattr(toy, "make", dying)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(toy, "make", lambda job: calls.append(job.unit) or honest(job))
    build(tmp_path / "out")
    assert sorted(calls) == ["dev/0", "train/0", "train/1", "valid/0"]
    assert content(tmp_path / "out") == content(made)


def test_a_second_run_is_skipped(made):
    assert build(made).skipped
