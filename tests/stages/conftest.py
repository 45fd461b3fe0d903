"""What the tests of several stages share: running and killing a stage, a miniature of MeViS."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import end_of_child
from PIL import Image
from pycocotools import mask as coco

from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Stage


class Killer(SilentProgress):
    """Kills its own process when the stage has reported `after` units, of all tasks together."""

    def __init__(self, after: int):
        super().__init__()
        self._left = after

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Killer]:
        """Count the units of this task too."""
        yield self

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Count."""
        self._left -= n
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def expect(self, total: int) -> None:
        """Do nothing."""


@pytest.fixture
def scheduler() -> Iterator[str]:
    """Address of a cluster of two worker threads in this process."""
    distributed = pytest.importorskip(
        "distributed", reason="the extra tgl[cluster] is not installed"
    )
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def run_stage() -> Callable[..., Outcome]:
    """`run_stage(stage, config, inputs, out)`: execute on one worker and the CPU, silently."""

    def run(
        stage: Stage[Any, Any],
        config: Any,
        inputs: Any,
        out: Path,
        *,
        workers: int = 1,
        force: bool = False,
        progress: SilentProgress | None = None,
    ) -> Outcome:
        return execute(
            stage,
            config,
            inputs,
            out,
            runtime=Runtime(workers=workers, device="cpu"),
            progress=progress or SilentProgress(),
            force=force,
        )

    return run


@pytest.fixture
def killed_run() -> Callable[..., None]:
    """`killed_run(stage, config, inputs, out, after)`: the same in a process that kills itself.

    SIGKILL comes as soon as the stage's progress reaches `after` units.
    """

    def run(stage: Stage[Any, Any], config: Any, inputs: Any, out: Path, after: int) -> None:
        def work() -> str:
            runtime = Runtime(workers=1, device="cpu")
            execute(stage, config, inputs, out, runtime=runtime, progress=Killer(after))
            return "the stage came to its end"

        code, text = end_of_child(work)
        assert code == -signal.SIGKILL, text

    return run


HEIGHT, WIDTH = 12, 16


def square(left: int) -> np.ndarray:
    """A 4 x 4 square in a field of 12 x 16."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:7, left : left + 4] = 1
    return mask


def rle(mask: np.ndarray) -> dict[str, Any]:
    """A mask as mask_dict.json holds it."""
    packed = coco.encode(np.asfortranarray(mask))
    return {"size": [int(n) for n in packed["size"]], "counts": packed["counts"].decode()}


def write_frames(folder: Path, names: list[str]) -> None:
    """Pictures of one colour each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 80, 160)).save(folder / f"{name}.jpg")


class MevisMini:
    """A MeViS split of two videos that a test may change before it is built.

    Video `a` has 6 frames and the objects 7 (visible in 0-3) and 8 (in 0, 1, 4 and 5); video `b`
    has 3 frames and the object 9. Sentences: a/0 of 7, a/1 of 7 and 8, a/2 of nothing, b/0 of 9.
    """

    def __init__(self, root: Path):
        self.root = root
        self.meta: dict[str, Any] = {
            "videos": {
                "a": {
                    "vid_id": 0,
                    "frames": [f"{n:05d}" for n in range(6)],
                    "expressions": {
                        "0": {"exp": "the left one jumps", "obj_id": [0], "anno_id": [7]},
                        "1": {"exp": "two that run", "obj_id": [0, 1], "anno_id": [7, 8]},
                        "2": {"exp": "a flying cow", "obj_id": [], "anno_id": []},
                    },
                },
                "b": {
                    "vid_id": 1,
                    "frames": ["00000", "00001", "00002"],
                    "expressions": {
                        "0": {"exp": "the left one jumps", "obj_id": [0], "anno_id": [9]}
                    },
                },
            }
        }
        seen = {"7": [0, 1, 2, 3], "8": [0, 1, 4, 5]}
        self.masks: dict[str, Any] = {
            anno: [rle(square(n)) if n in frames else None for n in range(6)]
            for anno, frames in seen.items()
        }
        self.masks["9"] = [rle(square(n)) for n in range(3)]
        self.moments: dict[str, Any] | None = {
            "format": "tgl-moments",
            "version": 1,
            "frame_unit": "index",
            "videos": {
                "a": {
                    "fps": 6.0,
                    "expressions": {
                        "0": {"moments": {"7": [[1, 3]]}},
                        "1": {"moments": {"7": [[0, 2]], "8": [[0, 1], [4, 6]]}},
                    },
                },
                "b": {"fps": None, "expressions": {"0": {"moments": {"ALL": [[0, 3]]}}}},
            },
        }

    def expression(self, video: str, name: str) -> dict[str, Any]:
        """An expression's entry, to be changed."""
        return self.meta["videos"][video]["expressions"][name]

    def write(self, *, meta_name: str = "meta_expressions.json", frames: bool = True) -> Path:
        """Write everything; returns the split's folder."""
        self.root.mkdir(parents=True, exist_ok=True)
        if frames:
            for video, entry in self.meta["videos"].items():
                write_frames(self.root / "JPEGImages" / video, entry["frames"])
        (self.root / meta_name).write_text(json.dumps(self.meta))
        (self.root / "mask_dict.json").write_text(json.dumps(self.masks))
        if self.moments is not None:
            (self.root / "moments.json").write_text(json.dumps(self.moments))
        return self.root


@pytest.fixture
def mevis(tmp_path: Path) -> MevisMini:
    """The miniature split, not yet written."""
    return MevisMini(tmp_path / "mevis" / "train")


@pytest.fixture
def square_mask() -> Callable[[int], np.ndarray]:
    """The mask that the miniatures draw at `left`."""
    return square


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The order of sums, and so their last bits, follows the number of threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
