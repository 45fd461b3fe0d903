"""tgl track."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.core.engine.digest import require_folder
from stages.core.model.loading.catalog import DEFAULT_TRACKER
from stages.zero_shot.track.config import TrackConfig, TrackInputs, candidates_file
from tglcli.options import RunOptions, stage_command


@stage_command(TrackConfig, runtime=("workers", "scheduler", "device", "devices", "precision"))
def track(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    candidates: Annotated[
        Path, typer.Argument(help="Candidate boxes or masks of its sentences, of tgl ground.")
    ],
    out: Annotated[Path, typer.Argument(help="Index of tracks to write.")],
    config: TrackConfig,
    run: RunOptions,
    backbone: Annotated[
        str,
        typer.Option(help="Tracker: toy, a folder, or a hub id of SAM 2, EdgeTAM or SAM 3."),
    ] = DEFAULT_TRACKER,
) -> None:
    """Track the objects of all candidates through their videos.

    OUT is an index whose masks are the tracks, and each sentence lists the tracks of its
    candidates. OUT/tracks.parquet has their scores, for tgl select-moments.

    Examples:
        tgl track index candidates tracks
        tgl track index candidates tracks --backbone toy --max-tracks 10
    """
    from stages.core.model.loading.hub import backbone_folder
    from stages.zero_shot.track.stage import STAGE

    require_folder(index)  # before a backbone is looked for, and maybe downloaded
    table = candidates_file(candidates)
    folder = backbone_folder(backbone, run.progress())
    run.execute(STAGE, config, TrackInputs(index, table, folder), out)
