"""tgl references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.references.config import ReferencesConfig, ReferencesInputs
from tglcli.options import RunOptions, stage_command


@stage_command(ReferencesConfig, runtime=("workers",))
def references(
    index: Annotated[Path, typer.Argument(help="An index with masks.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The folder of masks to make.", show_default=False)],
    config: ReferencesConfig,
    run: RunOptions,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="An objects.json of tgl toy: which objects there are, and what looks alike.",
            show_default="the referents of the video's sentences",
        ),
    ] = None,
) -> None:
    """Write trivial answers made of true masks, to stand beside a model's scores."""
    from stages.tools.references.stage import STAGE

    run.execute(STAGE, config, ReferencesInputs(index, objects), out)
