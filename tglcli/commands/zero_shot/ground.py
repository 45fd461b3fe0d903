"""tgl ground."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError
from stages.core.engine.settings import settings_of
from stages.zero_shot.ground.config import FILE, GroundConfig, ground_parts
from tglcli.options import RunOptions, stage_command

_DETECTOR = "Detector"


@stage_command(
    GroundConfig,
    runtime=("workers", "scheduler", "device", "devices", "precision"),
    own=("model",),
    recorded={"model": "candidates"},
)
def ground(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: GroundConfig,
    run: RunOptions,
    model: Annotated[
        str | None,
        typer.Option(
            help=settings_of(GroundConfig)["model"].help,
            show_default=GroundConfig.model,
            rich_help_panel=_DETECTOR,
        ),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Take over candidates made elsewhere: COCO results (JSON), or a table with the "
            "columns of OUT/candidates.parquet.",
            rich_help_panel=_DETECTOR,
        ),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="The objects.json of the split, as tgl toy writes it; by default the objects are "
            "those that sentences refer to.",
            rich_help_panel="With --model objects",
        ),
    ] = None,
) -> None:
    """Find candidate boxes of each sentence on frames spread over its video.

    OUT/candidates.parquet has the best boxes of each sentence and frame, for tgl track.

    Examples:
        tgl ground index candidates
        tgl ground index candidates --from detections.json
        tgl ground index candidates --model objects --miss 0.1
    """
    from stages.zero_shot.ground.stage import STAGE

    if model is not None and candidates is not None:
        raise ConfigError("takes the place of a model", where="--from", hint="leave --model out")
    chosen = FILE if candidates is not None else model or GroundConfig.model
    config = replace(config, model=chosen)
    inputs = ground_parts(
        index, config, candidates=candidates, objects=objects, progress=run.progress()
    )
    run.execute(STAGE, config, inputs, out)
