"""tgl train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError
from stages.core.engine.digest import require_folder
from stages.core.engine.workers.launcher import launched_rank
from stages.core.model.loading.catalog import DEFAULT_BACKBONE
from stages.core.model.loading.hub import backbone_folder, checkpoint_folder, config_folder
from stages.train.config import (
    DATA,
    VALIDATION,
    TrainConfig,
    TrainInputs,
    index_weights,
    paired_texts,
)
from tglcli.dry_run.options import DEFAULT_TFLOPS, AsJson, DryRun, Tflops
from tglcli.options import RunOptions, given_options, stage_command


@stage_command(
    TrainConfig,
    runtime=("workers", "device", "precision", "compile", "checkpoint_activations"),
    own=("index_weights",),
    recorded={"index_weights": "weights"},
)
def train(
    context: typer.Context,
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    text: Annotated[Path, typer.Argument(help="Its sentences, encoded by tgl precompute-text.")],
    out: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    config: TrainConfig,
    run: RunOptions,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="SAM 2, SAM 3 or EdgeTAM video model: a folder, a hub id, or toy, the small one "
            "for the data of tgl toy.",
            show_default=DEFAULT_BACKBONE,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint to start from: a folder, a hub id, or toy. Its backbone and adapter "
            "sizes are kept.",
        ),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another index to take clips from; may be repeated.", rich_help_panel=DATA
        ),
    ] = None,
    also_text: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its encoded sentences, one for each --also.",
            show_default="TEXT",
            rich_help_panel=DATA,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Relative numbers of clips of all indexes, such as 3,1.",
            show_default="of their sentences",
            rich_help_panel=DATA,
        ),
    ] = None,
    valid: Annotated[
        Path | None,
        typer.Option(help="Held-out index to validate on.", rich_help_panel=VALIDATION),
    ] = None,
    valid_text: Annotated[
        Path | None,
        typer.Option(
            help="Sentences of the held-out index, encoded.",
            show_default="TEXT",
            rich_help_panel=VALIDATION,
        ),
    ] = None,
    dry_run: DryRun = False,
    tflops: Tflops = DEFAULT_TFLOPS,
    as_json: AsJson = False,
) -> None:
    """Train a model on moments.

    The method is --sampling moment with --mdp and --oss; each can be switched off alone.

    Examples:
        tgl train index text checkpoint
        tgl train index text checkpoint --init pretrained --also images --weights 3,1
        torchrun --nproc_per_node 8 -m tglcli train index text checkpoint
    """
    if backbone is not None and init is not None:
        raise ConfigError(
            "has a backbone of its own", where="--init", hint="leave out --backbone or --init"
        )
    more = paired_texts(also or [], also_text or [], text)
    config = replace(config, index_weights=index_weights(weights))
    for named in (index, text, valid, valid_text, *(also or []), *(also_text or [])):
        if named is not None:
            require_folder(named)  # before a backbone is looked for, and maybe downloaded
    base = start = None
    if init is None:
        name = backbone or DEFAULT_BACKBONE
        if dry_run:
            base = config_folder(name, option="--backbone")
        else:
            base = backbone_folder(name, run.progress())
    else:
        start = checkpoint_folder(init, run.progress(), option="--init")
        from stages.train.initial import with_sizes_of

        config = with_sizes_of(config, start, given_options(context))
    inputs = TrainInputs(index, text, base, valid, valid_text, more, start)
    if dry_run:
        _print_cost(config, inputs, run, tflops, as_json=as_json)
        return
    from stages.train.stage import STAGE, together

    together(lambda: run.execute(STAGE, config, inputs, out), config, inputs, run.runtime)


def _print_cost(
    config: TrainConfig, inputs: TrainInputs, run: RunOptions, tflops: float, *, as_json: bool
) -> None:
    from stages.train.dry_run.run import train_cost
    from tglcli.dry_run.tables import print_json, print_train_cost

    if launched_rank() == 0:
        cost = train_cost(config, inputs, run.runtime, tflops=tflops)
        show = print_json if as_json else print_train_cost
        show(cost)
