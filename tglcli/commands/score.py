"""tgl score."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import ConfigError
from schemas.layouts import REPORT_FILE, SCORES_TABLE
from stages.core.engine.digest import require_files
from stages.score.config import NO_REPORT, ScoreConfig, ScoreInputs
from tglcli.options import RunOptions, stage_command
from tglcli.summary import print_outcome

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome


_MAKE_SCORES = "make one with tgl score --out"
_Preds = Annotated[
    Path,
    typer.Argument(help="Predictions: <video>/<expression id>/<frame>.png.", show_default=False),
]
_Truth = Annotated[
    Path,
    typer.Argument(
        help="Ground truth: an index, a split of MeViS, or a folder of masks.", show_default=False
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(help="Keep the tables and the summary here.", show_default="nothing is kept"),
]
_Report = Annotated[
    Path | None,
    typer.Option(
        help="Write the report here, one HTML page; with --out it is also kept there.",
        show_default=False,
    ),
]
_Compare = Annotated[
    Path | None,
    typer.Option(
        help="What --out kept of another run: print the paired difference to it.",
        show_default=False,
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")]


@stage_command(ScoreConfig, runtime=("workers", "scheduler"))
def score(
    preds: _Preds,
    gt: _Truth,
    config: ScoreConfig,
    run: RunOptions,
    out: _Out = None,
    report: _Report = None,
    compare: _Compare = None,
    as_json: _Json = False,
) -> None:
    """Score masks exactly: J, F, what is behind them, and every sample that is missing."""
    from stages.core.engine.outputs import output_files

    config = _with_pictures(config, out, report)
    if run.quiet and not as_json and out is None and report is None:
        raise ConfigError(
            "nothing would be printed and nothing kept",
            where="--quiet",
            hint="name --out, --report or --json, or leave it away",
        )
    if compare is not None:  # before the work
        require_files(compare, (SCORES_TABLE,), what="result of tgl score", hint=_MAKE_SCORES)
    inputs = ScoreInputs(preds, gt)
    others = [path for path in (out, compare) if path is not None]
    with (
        tempfile.TemporaryDirectory(prefix="tgl-score-") as scratch,
        output_files([*inputs.paths(), *others], force=run.force) as files,
    ):
        page = None if report is None else files.add(report)
        outcome = _execute(config, inputs, out or Path(scratch) / "scores", run)
        if page is not None:
            shutil.copyfile(outcome.path / REPORT_FILE, page)
        _print(outcome.path, compare, as_json=as_json, quiet=run.quiet)
    if out is not None and not as_json:
        print_outcome("score", outcome, quiet=run.quiet)


def _with_pictures(config: ScoreConfig, out: Path | None, report: Path | None) -> ScoreConfig:
    """Without a place for the report none is made."""
    if report is not None and config.pictures == NO_REPORT:
        raise ConfigError(f"{NO_REPORT} leaves out the report", where="--pictures")
    return replace(config, pictures=NO_REPORT) if out is None and report is None else config


def _execute(config: ScoreConfig, inputs: ScoreInputs, out: Path, run: RunOptions) -> Outcome:
    from stages.core.engine.pool import prepare_workers
    from stages.score.worker import WORKER_MODULES

    prepare_workers(run.runtime, WORKER_MODULES)  # they load while this process does
    from stages.core.engine.execute import execute
    from stages.score.stage import STAGE
    from tglcli.progress import TerminalProgress

    progress = TerminalProgress(quiet=run.quiet)
    return execute(
        STAGE, config, inputs, out, runtime=run.runtime, progress=progress, force=run.force
    )


def _print(artifact: Path, other: Path | None, *, as_json: bool, quiet: bool) -> None:
    from stages.score.results.compare import compare_runs
    from tglcli.score_tables import print_difference, print_json, print_scores

    difference = None if other is None else compare_runs(artifact, other)
    if as_json:
        print_json(artifact, difference)
    elif not quiet:
        print_scores(artifact)
        if difference is not None:
            print_difference(difference)
