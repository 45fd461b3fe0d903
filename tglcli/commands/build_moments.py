"""tgl build-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.build_moments.config import IndexConfig, IndexInputs
from tglcli.options import RunOptions, stage_command


@stage_command(IndexConfig, runtime=("workers",))
def build_moments(
    dataset: Annotated[
        Path, typer.Argument(help="The folder of one split of a data set.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(help="The index to make.", show_default=False)],
    config: IndexConfig,
    run: RunOptions,
    frames: Annotated[
        Path | None,
        typer.Option(
            help="What extract-frames made of the videos.",
            show_default="JPEGImages in the data set",
        ),
    ] = None,
    moments: Annotated[
        Path | None,
        typer.Option(
            help="The moments: a file, or a folder of files that hold one video each.",
            show_default="moments.json in the data set, if there",
        ),
    ] = None,
) -> None:
    """Turn a data set and its moments into an index that is read at random."""
    from stages.build_moments.stage import STAGE

    run.execute(STAGE, config, IndexInputs(dataset, frames, moments), out)
