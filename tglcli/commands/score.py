"""tgl score."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import ConfigError, system_errors
from schemas.layouts import REPORT_FILE, SCORES_TABLE
from stages.core.engine.digest import require_files
from stages.score.config import NO_REPORT, ScoreConfig, ScoreInputs
from tglcli.options import RunOptions, stage_command
from tglcli.summary import shown

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome


_MAKE_SCORES = "make one with tgl score --out"
_Preds = Annotated[Path, typer.Argument(help="Predicted masks, VIDEO/EXPRESSION/FRAME.png.")]
_Truth = Annotated[
    Path, typer.Argument(help="Ground truth: an index, a MeViS split, or a folder of masks.")
]
_Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the tables and the summary.", show_default="nothing is kept"),
]
_Report = Annotated[
    Path | None, typer.Option(help="HTML page to write; with --out it is also kept there.")
]
_Compare = Annotated[
    Path | None,
    typer.Option(help="Folder that --out wrote for another run; print the paired difference."),
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
    """Score masks by J and F, exactly as the official scorers do.

    Missing masks are never skipped: they are listed, or counted as 0.

    Examples:
        tgl score masks mevis/valid_u
        tgl score masks index --out scores --report report.html
        tgl score masks index --compare scores
    """
    from stages.core.engine.outputs import output_files, require_suffix

    config = _with_report(config, out, report)
    if run.quiet and not as_json and out is None and report is None:
        raise ConfigError(
            "nothing would be printed or kept",
            where="--quiet",
            hint="add --out, --report or --json, or drop --quiet",
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
        if report is not None:
            require_suffix(report, ".html", ".htm", option="--report")
        outcome = _execute(config, inputs, out or Path(scratch) / "scores", run)
        if page is not None:
            with system_errors(report):
                shutil.copyfile(outcome.path / REPORT_FILE, page)
        _print(outcome.path, preds, compare, as_json=as_json, quiet=run.quiet)
    if out is not None and not as_json:
        run.finish("score", outcome)


def _with_report(config: ScoreConfig, out: Path | None, report: Path | None) -> ScoreConfig:
    """Leave out the report unless there is somewhere to write it."""
    if report is not None and config.pictures == NO_REPORT:
        raise ConfigError(f"{NO_REPORT} leaves out the report", where="--images")
    return replace(config, pictures=NO_REPORT) if out is None and report is None else config


def _execute(config: ScoreConfig, inputs: ScoreInputs, out: Path, run: RunOptions) -> Outcome:
    from stages.core.engine.workers.pool import prepare_workers
    from stages.score.worker import REPORT_MODULES, WORKER_MODULES

    modules = WORKER_MODULES if config.pictures == NO_REPORT else WORKER_MODULES + REPORT_MODULES
    prepare_workers(run.runtime, modules)  # they load while this process does
    from stages.score.stage import STAGE

    return run.compute(STAGE, config, inputs, out)


def _print(artifact: Path, preds: Path, other: Path | None, *, as_json: bool, quiet: bool) -> None:
    from stages.score.results.compare import compare_runs
    from tglcli.tables.scores import print_difference, print_json, print_scores

    difference = None
    if other is not None:
        names = {"this": shown(preds), "other": shown(other)}
        difference = {**names, **compare_runs(artifact, other)}
    if as_json:
        print_json(artifact, difference)
    elif not quiet:
        print_scores(artifact)
        if difference is not None:
            print_difference(difference)
