"""tgl references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.references.config import ReferencesConfig, ReferencesInputs
from tglcli.options import RunOptions, stage_command


@stage_command(ReferencesConfig, runtime=("workers",))
def references(
    index: Annotated[Path, typer.Argument(help="Index with masks.")],
    out: Annotated[Path, typer.Argument(help="Folder of masks to write.")],
    config: ReferencesConfig,
    run: RunOptions,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="objects.json of tgl toy: the objects, and which of them look alike.",
            show_default="referents of the video's sentences",
        ),
    ] = None,
) -> None:
    """Write trivial predictions, to compare a model's scores with.

    They are made of ground truth masks without understanding the sentence.

    Examples:
        tgl references index masks
        tgl references index masks --kind one-at-random --seed 1
        tgl references index masks --kind look-alikes --objects toy/valid/objects.json
    """
    from stages.tools.references.stage import STAGE

    run.execute(STAGE, config, ReferencesInputs(index, objects), out)
