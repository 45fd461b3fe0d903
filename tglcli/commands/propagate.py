"""tgl propagate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stages.core.engine.digest import require_folder
from stages.core.model.loading.hub import checkpoint_folder, config_folder
from stages.propagate.config import (
    FILE,
    MOMENTS,
    ROUTING,
    TRACK_SOURCES,
    TRACKS,
    PropagateConfig,
    PropagateInputs,
    moments_table,
    tracks_index,
)
from tglcli.dry_run.options import DEFAULT_TFLOPS, AsJson, DryRun, Tflops
from tglcli.options import RunOptions, stage_command


@stage_command(
    PropagateConfig,
    runtime=("workers", "scheduler", "device", "devices", "precision", "compile"),
    own=("moments", "tracks"),
)
def propagate(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    text: Annotated[Path, typer.Argument(help="Its sentences, encoded by tgl precompute-text.")],
    checkpoint: Annotated[
        str,
        typer.Argument(help="Checkpoint of tgl train: a folder, a hub id, or toy, the toy model."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder of masks to write.")],
    config: PropagateConfig,
    run: RunOptions,
    moments: Annotated[
        str,
        typer.Option(
            help="What routes the frames: annotated (moments of the index), predicted (the "
            "relevance head), all (every frame is relevant), or a moments table.",
            rich_help_panel=ROUTING,
        ),
    ] = PropagateConfig.moments,
    tracks: Annotated[
        str,
        typer.Option(
            help="Tracks to make masks of: own (of what the masks show), an index, off, or auto: "
            "own with a track head.",
            rich_help_panel=TRACKS,
        ),
    ] = PropagateConfig.tracks,
    dry_run: DryRun = False,
    tflops: Tflops = DEFAULT_TFLOPS,
    as_json: AsJson = False,
) -> None:
    """Segment the objects of each sentence in each frame.

    Examples:
        tgl propagate index text checkpoint masks
        tgl propagate index text checkpoint masks --moments annotated --tracks off
        tgl propagate index text checkpoint masks --devices all
    """
    for folder in (index, text):
        require_folder(folder)  # before a checkpoint is looked for, and maybe downloaded
    if dry_run:
        model = config_folder(checkpoint, option="CHECKPOINT")
    else:
        model = checkpoint_folder(checkpoint, run.progress())
    named = moments in MOMENTS and moments != FILE
    known = tracks in TRACK_SOURCES and tracks != FILE
    config = replace(config, moments=moments if named else FILE, tracks=tracks if known else FILE)
    config = config.for_checkpoint(model)
    table = None if named else moments_table(moments)
    objects = None if known else tracks_index(tracks)
    inputs = PropagateInputs(index, text, model, table, objects)
    if dry_run:
        _print_cost(config, inputs, run, tflops, as_json=as_json)
        return
    from stages.propagate.stage import STAGE

    run.execute(STAGE, config, inputs, out)


def _print_cost(
    config: PropagateConfig,
    inputs: PropagateInputs,
    run: RunOptions,
    tflops: float,
    *,
    as_json: bool,
) -> None:
    from stages.propagate.dry_run.run import propagate_cost
    from tglcli.dry_run.tables import print_json, print_propagate_cost

    cost = propagate_cost(config, inputs, run.runtime, tflops=tflops)
    show = print_json if as_json else print_propagate_cost
    show(cost)
