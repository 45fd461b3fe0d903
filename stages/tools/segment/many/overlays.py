"""The stage that puts the overlays of several videos in one folder, each by the video's name."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stages.core.engine.digest import known_sha256, text_digest
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace
from stages.tools.segment.many.request import OVERLAY_STAGE


@dataclass(frozen=True)
class OverlayConfig(Settings):
    """The videos whose overlays are taken."""

    videos: tuple[str, ...] = setting((), "Names of the videos.")


@dataclass(frozen=True)
class OverlayInputs(Inputs):
    """The overlay of each video, in the order of their names in the settings."""

    overlays: tuple[Path, ...]

    def digests(self) -> dict[str, str]:
        """Digest of the files by their content."""
        return {"overlays": text_digest("".join(map(known_sha256, self.overlays)))}


def run(
    config: OverlayConfig,
    inputs: OverlayInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Link each overlay as VIDEO with its suffix, or copy it to another file system."""
    for video, overlay in zip(config.videos, inputs.overlays, strict=True):
        target = out.path / f"{video}{overlay.suffix}"
        target.unlink(missing_ok=True)
        try:
            os.link(overlay, target)
        except OSError:
            shutil.copy2(overlay, target)
    return Result({"videos": len(config.videos)})


STAGE = Stage(OVERLAY_STAGE, 1, OverlayConfig, OverlayInputs, run)
