"""Peak memory of one scoring process on a 1080p video of 1,000 frames and 4 sentences.

    python benchmarks/score_memory.py [--frames 1000]

The ground truth is a MeViS split with two objects, whose masks repeat 25 distinct blobs. A new
process scores the video; its peak is the one that the system reports (ru_maxrss).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

HEIGHT, WIDTH = 1080, 1920
DISTINCT = 25
SENTENCES = {"0": [0], "1": [1], "2": [0, 1], "3": []}

WORKER = """
import resource, sys
from pathlib import Path
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.truth.reading import read_truth
from stages.score.worker import score_video
from stages.score.cases import VideoJob
root = Path(sys.argv[1])
inputs = ScoreInputs(root / "preds", root / "gt")
video, = read_truth(ScoreConfig(), inputs)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results = score_video(VideoJob(video, inputs.preds))
assert not any(result.faults for result in results)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(len(result.counts) for result in results), before, after)
"""


def blob(number: int) -> np.ndarray:
    """Draw a large lobed blob, uint8 (H, W)."""
    rng = np.random.default_rng(number)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    y, x = rng.uniform((300, 500), (780, 1420))
    angle = np.arctan2(ys - y, xs - x)
    outline = rng.uniform(150, 400) * (1 + 0.2 * np.sin(7 * angle) + 0.05 * np.sin(31 * angle))
    return ((ys - y) ** 2 + (xs - x) ** 2 < outline**2).astype(np.uint8)


def make_data(root: Path, frames: int) -> None:
    """Write a split with one video, and predictions for its sentences."""
    (root / "gt").mkdir()
    names = [f"{frame:05}" for frame in range(frames)]
    masks = [blob(number) for number in range(DISTINCT)]
    packed = [coco.encode(np.asfortranarray(mask)) for mask in masks]
    rles = [{"size": rle["size"], "counts": rle["counts"].decode()} for rle in packed]
    expressions = {key: {"exp": "a blob", "anno_id": ids} for key, ids in SENTENCES.items()}
    meta = {"videos": {"long": {"frames": names, "expressions": expressions}}}
    (root / "gt" / "meta_expressions.json").write_text(json.dumps(meta))
    tracks = {str(n): [rles[(frame + n) % DISTINCT] for frame in range(frames)] for n in (0, 1)}
    (root / "gt" / "mask_dict.json").write_text(json.dumps(tracks))
    for number, mask in enumerate(masks):
        Image.fromarray(mask * 255).save(root / f"{number}.png")
    for key in SENTENCES:
        folder = root / "preds" / "long" / key
        folder.mkdir(parents=True)
        for frame, name in enumerate(names):
            shutil.copy(root / f"{(frame + int(key)) % DISTINCT}.png", folder / f"{name}.png")


def main() -> None:
    """Print the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder), frames)
        done = subprocess.run(
            [sys.executable, "-c", WORKER, folder], capture_output=True, text=True, check=True
        )
    pairs, before, after = map(int, done.stdout.split())
    print(
        f"{pairs} pairs of {WIDTH}x{HEIGHT}: peak {after / 1024:.0f} MB, "
        f"of which {before / 1024:.0f} MB before the first frame"
    )


if __name__ == "__main__":
    main()
