"""tgl score."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from stages.score.config import ScoreConfig, ScoreInputs
from tglcli.options import RunOptions, stage_command
from tglcli.summary import print_outcome


@stage_command(ScoreConfig, runtime=("workers", "scheduler"))
def score(
    preds: Annotated[
        Path,
        typer.Argument(
            help="Predictions: <video>/<expression id>/<frame>.png.", show_default=False
        ),
    ],
    gt: Annotated[
        Path,
        typer.Argument(
            help="Ground truth: an index, a split of MeViS, or a folder of masks.",
            show_default=False,
        ),
    ],
    config: ScoreConfig,
    run: RunOptions,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep the tables and the summary here.", show_default="nothing is kept"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")
    ] = False,
) -> None:
    """Score masks exactly: J, F, what is behind them, and every sample that is missing."""
    from stages.engine.execute import execute
    from stages.score.stage import STAGE
    from tglcli.progress import TerminalProgress
    from tglcli.score_tables import print_json, print_scores

    with tempfile.TemporaryDirectory(prefix="tgl-score-") as scratch:
        outcome = execute(
            STAGE,
            config,
            ScoreInputs(preds, gt),
            out or Path(scratch) / "scores",
            runtime=run.runtime,
            progress=TerminalProgress(quiet=run.quiet),
            force=run.force,
        )
        if as_json:
            print_json(outcome.path)
        elif not run.quiet:
            print_scores(outcome.path)
    if out is not None and not as_json:
        print_outcome(STAGE.name, outcome, quiet=run.quiet)
