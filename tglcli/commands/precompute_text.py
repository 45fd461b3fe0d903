"""tgl precompute-text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.core.engine.digest import require_folder
from stages.precompute_text.config import (
    TextConfig,
    TextInputs,
    encoder_revision,
    installed_tagger,
    local_encoder,
)
from tglcli.options import RunOptions, stage_command


@stage_command(TextConfig, runtime=("device", "precision"))
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

    require_folder(index)  # before an encoder is looked for, and maybe downloaded
    inputs = TextInputs(
        index,
        local_encoder(config.encoder),
        installed_tagger(config.motion_words),
        encoder_revision(config.encoder, run.progress()),
    )
    run.execute(STAGE, config, inputs, out)
