"""The public models of a request: those that it names, else the default ones for the machine."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from stages.core.engine.progress import Progress
from stages.core.model.loading.catalog import CPU_TRACKER, DEFAULT_TRACKER
from stages.core.model.loading.hub import TOY, TOY_BACKBONE
from stages.core.model.loading.names import Wanted

TRACKER_OPTION = "--tracker"
_GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Of NVIDIA's driver, of AMD's, and of Windows' where Linux runs in it."""


def tracker_name(named: str | None, device: str) -> str:
    """The tracker to use; without a GPU the default is a smaller one.

    Args:
        named: by the user, if at all.
        device: that the user asked for.
    """
    return named or (DEFAULT_TRACKER if has_gpu(device) else CPU_TRACKER)


def has_gpu(device: str) -> bool:
    """Guess whether the network will run on a GPU, without loading torch to know it.

    Args:
        device: name of a device, or auto.
    """
    if device != "auto":
        return not device.startswith("cpu")
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return apple or any(path.exists() for path in _GPU_FILES)


def model_folders(models: list[Wanted], progress: Progress) -> list[Path]:
    """Folders of models, all of which are fetched together where they are missing.

    Raises:
        TglError: as ``ensure_models``.
    """
    from stages.core.model.loading.fetch import ensure_models

    real = [model for model in models if model.name != TOY]
    found = dict(zip((model.name for model in real), ensure_models(real, progress), strict=True))
    return [found.get(model.name, TOY_BACKBONE) for model in models]
