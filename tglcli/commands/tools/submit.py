"""tgl submit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError, CorruptInput
from schemas.printable import LONG, printable
from schemas.wording import amount
from stages.tools.submit.config import SubmitConfig, SubmitInputs
from tglcli.options import RunOptions, stage_command
from tglcli.summary import shown

_ZIP = ".zip"
_SHOWN_FAULTS = 10


@stage_command(SubmitConfig, runtime=("workers",))
def submit(
    preds: Annotated[
        Path,
        typer.Argument(
            help="Predicted masks, VIDEO/EXPRESSION/FRAME.png; or a .zip, which is only checked.",
        ),
    ],
    meta: Annotated[
        Path,
        typer.Option(help="The split's meta_expressions.json."),
    ],
    config: SubmitConfig,
    run: RunOptions,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Zip to write.")] = None,
    frames: Annotated[
        Path | None,
        typer.Option(
            help="The split's frames, to check the sizes of the masks.",
            show_default="JPEGImages beside the meta file, if it exists",
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            help="Meta file whose videos are left out: for ref-youtube-vos, the test split's.",
        ),
    ] = None,
) -> None:
    """Write or check the zip of a challenge submission.

    Examples:
        tgl submit masks --meta mevis/valid/meta_expressions.json -o submission.zip
        tgl submit submission.zip --meta mevis/valid/meta_expressions.json
    """
    inputs = SubmitInputs(preds, meta, frames, exclude)
    if preds.suffix == _ZIP and not preds.is_dir():
        _check(inputs, config)
        return
    if out is None:
        raise ConfigError("is needed to write a submission", where="--out")
    from stages.tools.submit.writing import NAME, write_submission

    outcome = write_submission(
        config,
        inputs,
        out,
        runtime=run.runtime,
        progress=run.progress(),
        force=run.force,
    )
    run.finish(NAME, outcome)


def _check(inputs: SubmitInputs, config: SubmitConfig) -> None:
    from stages.core.submissions.checking import check_submission

    faults = check_submission(
        inputs.preds,
        inputs.meta,
        server=config.server,
        frames_dir=inputs.frames_dir,
        exclude=inputs.exclude,
    )
    for fault in faults[:_SHOWN_FAULTS]:
        typer.echo(printable(fault, LONG))
    if len(faults) > _SHOWN_FAULTS:
        typer.echo(f"... and {len(faults) - _SHOWN_FAULTS:,} more")
    if faults:
        raise CorruptInput(
            f"{amount(len(faults), 'faults')} for the server of {config.server}",
            where=inputs.preds,
            hint="check that --server and --meta are those it was made for",
        )
    typer.echo(f"{shown(inputs.preds)}: no faults for the server of {config.server}")
