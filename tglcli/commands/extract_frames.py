"""tgl extract-frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.sources import find_videos
from tglcli.options import RunOptions, stage_command


@stage_command(ExtractConfig, runtime=("workers", "scheduler"))
def extract_frames(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO",
            help="Videos, folders of videos, glob patterns, or @FILE that lists one per line.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: ExtractConfig,
    run: RunOptions,
) -> None:
    """Extract the frames of videos, with exact time stamps.

    Videos that cannot be read are listed and skipped.

    Examples:
        tgl extract-frames videos/ frames
        tgl extract-frames a.mp4 b.webm frames --fps 6 --short-side 480
        tgl extract-frames @list.txt frames --stride 5 --frame-names ref-youtube-vos
    """
    from stages.extract_frames.stage import STAGE

    run.execute(STAGE, config, ExtractInputs(find_videos(videos)), out)
