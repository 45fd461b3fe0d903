"""tgl build-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.build_moments.config import IndexConfig, IndexInputs
from tglcli.options import RunOptions, stage_command


@stage_command(IndexConfig, runtime=("workers",))
def build_moments(
    dataset: Annotated[Path, typer.Argument(help="Folder of one split of a data set.")],
    out: Annotated[Path, typer.Argument(help="Index to write.")],
    config: IndexConfig,
    run: RunOptions,
    frames: Annotated[
        Path | None,
        typer.Option(
            help="Folder of tgl extract-frames, or of the images of RefCOCO.",
            show_default="JPEGImages in the data set",
        ),
    ] = None,
    moments: Annotated[
        Path | None,
        typer.Option(
            help="Moments: a file, or a folder with one file per video.",
            show_default="moments.json in the data set, if it exists",
        ),
    ] = None,
) -> None:
    """Index a data set and its moments for random access.

    Examples:
        tgl build-moments mevis/train index --moments moments.json
        tgl build-moments data/train index --frames frames --moments-from visibility
        tgl build-moments refcoco index --split unc_train --frames coco/train2014
    """
    from stages.build_moments.stage import STAGE

    run.execute(STAGE, config, IndexInputs(dataset, frames, moments), out)
