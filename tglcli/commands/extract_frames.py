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
            help="Videos, folders of videos, glob patterns, or @FILE with one of these a line.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    config: ExtractConfig,
    run: RunOptions,
) -> None:
    """Turn videos into folders of frames and a table of exact time stamps.

    A video that cannot be read is named and left out; the others are extracted.
    """
    from stages.extract_frames.stage import STAGE

    run.execute(STAGE, config, ExtractInputs(find_videos(videos)), out)
