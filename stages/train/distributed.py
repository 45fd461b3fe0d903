"""One run in several processes (torchrun, accelerate launch): who writes, who follows.

The first process runs the stage as if it were alone: it holds the lock, resumes, writes and
publishes. The others have no folder; they wait to hear whether there is work, then train along.
A process that fails exits, and the launcher ends the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list, is_tensorboard_available

from schemas.errors import ConfigError
from stages.core.engine.runtime import Runtime
from stages.core.model.device import pick_device

TRACKER = "tensorboard"

T = TypeVar("T")


def make_accelerator(runtime: Runtime, tracker_folder: Path | None = None) -> Accelerator:
    """The devices of this run; joins the other processes if there are any.

    Args:
        tracker_folder: where TensorBoard files go, None without a tracker.

    Raises:
        ConfigError: the device or TensorBoard is not there.
    """
    # accelerate joins processes on CPU only if told that this is a CPU run.
    name = pick_device("auto").type if runtime.device == "auto" else runtime.device
    kind, _, number = name.partition(":")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError("no CUDA device is usable", where="--device", hint="try cpu")
        if number:
            torch.cuda.set_device(int(number))
    if tracker_folder is not None and not is_tensorboard_available():
        raise ConfigError(
            "TensorBoard is not installed",
            where="--tensorboard",
            hint="pip install 'tgl[tensorboard]'",
        )
    return Accelerator(
        cpu=kind == "cpu",
        log_with=None if tracker_folder is None else TRACKER,
        project_dir=None if tracker_folder is None else str(tracker_folder),
        # Frames take different paths in different steps, so some weights get no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def share(value: T, accelerator: Accelerator) -> T:
    """The first process's value, in every process."""
    if accelerator.num_processes == 1:
        return value
    box = [value]
    broadcast_object_list(box, from_process=0)
    return box[0]


def leave() -> None:
    """Leave the other processes in order.

    A process that exits while threads of its group still run is aborted, and the launcher then
    calls a run failed that has done all its work.
    """
    torch.distributed.destroy_process_group()
