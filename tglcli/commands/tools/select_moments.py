"""tgl select-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.select_moments.config import PER_REFERENT, SelectConfig
from tglcli.options import RunOptions, stage_command


@stage_command(SelectConfig, runtime=("scheduler", "device", "devices", "precision"))
def select_moments(
    index: Annotated[
        Path, typer.Argument(help="Index of tgl build-moments; per referent also of tgl track.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: SelectConfig,
    run: RunOptions,
    text: Annotated[
        Path | None,
        typer.Option(
            help="For a tgl checkpoint: OUT of tgl precompute-text, in place of its own encoder.",
            rich_help_panel=PER_REFERENT,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Index with true masks, for --model truth.", rich_help_panel=PER_REFERENT
        ),
    ] = None,
) -> None:
    """Select the moments of each sentence, or of each referent, with a model.

    OUT/moments.parquet can be given to tgl propagate --moments. If the index has annotated
    moments, the summary compares them with the selected ones.

    With --per referent, the model judges the tracks of the index (its masks): which of them a
    sentence describes, and when. A track that is not accepted has no row. tgl assemble makes
    masks of the accepted tracks.

    Examples:
        tgl select-moments index selected --model google/siglip-base-patch16-224
        tgl select-moments tracks accepted --per referent
        tgl select-moments tracks accepted --per referent --model toy
    """
    from stages.tools.select_moments.inputs import select_inputs
    from stages.tools.select_moments.stage import STAGE

    inputs = select_inputs(index, config, run.progress(), text=text, truth=truth)
    run.execute(STAGE, config, inputs, out)
