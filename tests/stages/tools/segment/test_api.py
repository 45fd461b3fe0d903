"""segment_video: frames or a path in, masks, objects and moments out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_world import TinyWorld

from schemas.errors import ConfigError, MissingInput
from stages.core.engine.progress import SilentProgress
from stages.core.media.frames import read_frame
from stages.tools.segment import Box, MaskImage, Point, segment_video

FRAMES, HEIGHT, WIDTH = 4, 32, 48


@pytest.fixture
def frames() -> np.ndarray:
    """Noise with a bright square that moves."""
    found = np.random.default_rng(0).integers(0, 90, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for number, frame in enumerate(found):
        frame[8:24, 4 + 3 * number : 20 + 3 * number] = (250, 180, 40)
    return found


def test_prompts_on_an_array(tiny_world: TinyWorld, frames: np.ndarray) -> None:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[8:24, 10:26] = 3
    before = frames.copy()
    found = segment_video(
        frames,
        prompts=[
            Box(*np.array([4, 8, 20, 24]), name="square"),
            Point(2, 2, frame=3),
            MaskImage(drawn, np.int64(2)),  # type: ignore[arg-type]
        ],
        tracker=tiny_world.backbone,
        device="cpu",
        workers=1,
    )
    assert [one.sentence for one in found.sentences] == ["square", "object 1", "object 2"]
    assert found.frame_names == ("000000", "000001", "000002", "000003")
    assert (found.size, found.fps, found.warnings) == ((HEIGHT, WIDTH), None, ())
    for one in found.sentences:
        assert one.masks.shape == (FRAMES, HEIGHT, WIDTH)
        assert one.masks.dtype == bool
        assert one.moments == ()
        assert np.isnan(one.relevance).all()
        (only,) = one.objects
        assert only.name == one.sentence
        assert (only.masks == one.masks).all()
    assert (found["object 2"].masks[2] == (drawn > 0)).all()
    assert (frames == before).all()
    with pytest.raises(KeyError):
        found["a dog"]


def test_an_array_and_the_same_frames_in_files_are_equal(
    tiny_world: TinyWorld, tmp_path: Path
) -> None:
    folder = tiny_world.frames / "JPEGImages" / "a"
    array = np.stack([read_frame(path) for path in sorted(folder.iterdir())])
    progress = SilentProgress()
    runs = [
        segment_video(
            source,
            ["the left one jumps", "two that run"],
            checkpoint=tiny_world.model,
            device="cpu",
            workers=1,
            work=tmp_path / f"work{number}",
            progress=progress,
        )
        for number, source in enumerate((folder, array))
    ]
    for one, other in zip(*(run.sentences for run in runs), strict=True):
        assert one.sentence == other.sentence
        assert one.masks.any()
        assert (one.masks == other.masks).all()
        assert one.moments == other.moments
        assert (one.relevance == other.relevance).all()
        assert one.objects == ()  # a checkpoint does not tell them apart
    assert (tmp_path / "work0" / "masks" / "receipt.json").is_file()


def test_a_kept_folder_is_reused(tiny_world: TinyWorld, tmp_path: Path) -> None:
    work = tmp_path / "work"

    def run(sentence: str) -> np.ndarray:
        found = segment_video(
            tiny_world.video("b"),
            sentence,
            checkpoint=str(tiny_world.model),
            device="cpu",
            workers=1,
            work=work,
        )
        return found[sentence].masks

    first = run("the left one")
    inode = (work / "frames").stat().st_ino
    assert (run("the left one") == first).all()
    assert run("another") is not None
    assert (work / "frames").stat().st_ino == inode


def test_mistakes(tiny_world: TinyWorld, frames: np.ndarray) -> None:
    for source in (frames.astype(np.float32), frames[0], frames[:0], frames[..., :1]):
        with pytest.raises(ValueError, match=r"expected uint8 \(T, H, W, 3\), T > 0"):
            segment_video(source, "a dog")
    with pytest.raises(ConfigError, match="give sentences or prompts"):
        segment_video(frames)
    with pytest.raises(ConfigError, match="the video has no frame 4, its last one is 3"):
        segment_video(frames, prompts=[Point(1, 1, frame=4)], tracker=tiny_world.backbone)
    with pytest.raises(MissingInput):
        segment_video("nowhere.mp4", "a dog", checkpoint="toy")
    with pytest.raises(ConfigError, match="--every: has no effect with --checkpoint"):
        segment_video(frames, "a dog", checkpoint="toy", every=2)


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys; from stages.tools.segment import Box; print(Box(0, 0, 1, 1))\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    root = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
