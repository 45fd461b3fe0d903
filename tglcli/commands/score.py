"""tgl score."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError
from schemas.layouts import REPORT_FILE
from stages.score.config import NO_REPORT, ScoreConfig, ScoreInputs
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
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write the report here, one HTML page; with --out it is also kept there.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="What --out kept of another run: print the paired difference to it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")
    ] = False,
) -> None:
    """Score masks exactly: J, F, what is behind them, and every sample that is missing."""
    from stages.engine.pool import prepare_workers
    from stages.score.worker import WORKER_MODULES

    prepare_workers(run.runtime, WORKER_MODULES)  # they load while this process does
    from stages.engine.execute import execute
    from stages.score.stage import STAGE
    from tglcli.progress import TerminalProgress

    if out is None and report is None:
        config = replace(config, pictures=NO_REPORT)
    elif report is not None and config.pictures == NO_REPORT:
        raise ConfigError(f"{NO_REPORT} leaves out the report", where="--pictures")
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
        if report is not None:
            shutil.copyfile(outcome.path / REPORT_FILE, report)
        _print(outcome.path, compare, as_json=as_json, quiet=run.quiet)
    if out is not None and not as_json:
        print_outcome(STAGE.name, outcome, quiet=run.quiet)


def _print(artifact: Path, other: Path | None, *, as_json: bool, quiet: bool) -> None:
    from stages.score.compare import compare_runs
    from tglcli.score_tables import print_difference, print_json, print_scores

    difference = None if other is None else compare_runs(artifact, other)
    if as_json:
        print_json(artifact, difference)
    elif not quiet:
        print_scores(artifact)
        if difference is not None:
            print_difference(difference)
