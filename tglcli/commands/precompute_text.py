"""tgl precompute-text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.precompute_text.config import TextConfig, installed_tagger, text_inputs
from tglcli.options import RunOptions, stage_command


@stage_command(TextConfig, runtime=("scheduler", "device", "devices", "precision"))
def precompute_text(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: TextConfig,
    run: RunOptions,
) -> None:
    """Encode every distinct sentence of an index once.

    Examples:
        tgl precompute-text index text --encoder roberta-base
        tgl precompute-text index text --encoder hash
    """
    from stages.precompute_text.stage import STAGE

    tagger = installed_tagger(config.motion_words)
    inputs = text_inputs(index, config, run.progress(), tagger=tagger)
    run.execute(STAGE, config, inputs, out)
