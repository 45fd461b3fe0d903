"""Training in several processes (torchrun, accelerate launch).

The main process runs the stage as if it were alone: it holds the lock, resumes, writes and
publishes. The others have no folder; they wait for its orders, then train along. A process that
fails exits, and the launcher ends the others.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list, is_tensorboard_available
from torch import nn

from schemas.errors import ConfigError
from stages.core.engine.runtime import Runtime
from stages.core.model.device import pick_device

TRACKER = "tensorboard"

T = TypeVar("T")


def make_accelerator(
    runtime: Runtime, tracker_folder: Path | None = None, *, static_graph: bool = False
) -> Accelerator:
    """The accelerator of this run; joins the other processes if there are any.

    Args:
        static_graph: every step uses the same weights in the same order: which of them have no
            gradient is found out once, not in each step.
        tracker_folder: for TensorBoard files, None without a tracker.

    Raises:
        ConfigError: the device or TensorBoard is missing.
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
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                find_unused_parameters=not static_graph, static_graph=static_graph
            )
        ],
    )


def local_processes() -> int:
    """Number of training processes on this machine, which share its cores."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def add_unused_parameter(module: nn.Module) -> None:
    """Give a module a parameter that no step uses.

    Which of its weights a step leaves unused depends on the frames. If the first step happens to
    use all, torch prints a warning about find_unused_parameters, past Python's warning filters.
    """
    module.register_parameter("unused", nn.Parameter(torch.zeros(())))


@contextmanager
def without_stride_warning() -> Iterator[None]:
    """Silence torch's warning that strides of a gradient and of its bucket differ.

    They differ in dimensions of size 1, as in depthwise convolutions, where strides mean nothing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        yield


def broadcast_object(value: T, accelerator: Accelerator) -> T:
    """The main process's value, in every process."""
    if accelerator.num_processes == 1:
        return value
    box = [value]
    broadcast_object_list(box, from_process=0)
    return box[0]


def destroy_process_group() -> None:
    """Leave the process group, which must come before a process exits.

    A process that exits while threads of its group still run is aborted, and the launcher then
    reports that a run failed which has done all its work.
    """
    torch.distributed.destroy_process_group()
