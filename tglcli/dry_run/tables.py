"""The tables that a dry run prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from schemas.wording import amount
from tglcli.summary import size

if TYPE_CHECKING:
    from stages.core.model.cost.parts import Part
    from stages.propagate.dry_run.run import PropagateCost
    from stages.train.dry_run.run import TrainCost
    from stages.train.dry_run.step import StepCost

_TERA, _GIGA, _MILLION = 1e12, 1e9, 1e6
_SIXTY = 60


def print_json(cost: TrainCost | PropagateCost) -> None:
    """Print everything that was counted."""
    typer.echo(json.dumps(cost.to_dict(), indent=1))


def print_train_cost(cost: TrainCost) -> None:
    """Print what a training takes."""
    console = Console(highlight=False)
    _print(console, "Parameters", _parts_table(cost.parts))
    clips = amount(cost.clips, "clips")
    _print(console, f"A pass over {clips} of {cost.clip_frames} frames", _steps_table(cost))
    _print(console, "Memory of a device", _memory_table(cost))
    for line in _train_lines(cost):
        console.print(line)


def print_propagate_cost(cost: PropagateCost) -> None:
    """Print what a run of propagate takes."""
    console = Console(highlight=False)
    _print(console, "Parameters", _parts_table(cost.parts))
    shape = next(iter(cost.video.values())).shape
    what = f"{shape.frames} frames, {amount(shape.sentences, 'sentences')}"
    if shape.objects:
        what += f", {amount(shape.objects, 'objects')} tracked"
    title = f"A video of {what}, {shape.relevant:.0%} of the frames relevant"
    _print(console, title, _video_table(cost))
    for line in _propagate_lines(cost):
        console.print(line)


def _print(console: Console, title: str, table: Table) -> None:
    console.print(f"[italic]{title}[/]")  # a title in the table would be folded to its width
    console.print(table)


def _table(*columns: str) -> Table:
    """A table with a column of names and columns of figures."""
    table = Table()
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def _parts_table(parts: Sequence[Part]) -> Table:
    table = _table("part", "parameters", "trained")
    for part in parts:
        table.add_row(part.name, _millions(part.parameters), _millions(part.trained))
    table.add_section()
    sums = (sum(part.parameters for part in parts), sum(part.trained for part in parts))
    table.add_row("all", *map(_millions, sums))
    return table


def _steps_table(cost: TrainCost) -> Table:
    table = _table("TFLOP", "encoder", "forward", "backward", "all")
    rows: Iterable[tuple[str, StepCost | None]] = (
        ("whole model", cost.step),
        ("with a window", cost.windowed_step),
        ("adapter alone", cost.adapter_step),
    )
    for name, step in rows:
        if step is not None:
            parts = (step.encoder, step.forward, step.backward, step.flops)
            table.add_row(name, *(_number(part / _TERA) for part in parts))
    return table


def _memory_table(cost: TrainCost) -> Table:
    table = _table("", *cost.memory)
    rows = (
        ("weights", "weights"),
        ("optimiser", "optimiser"),
        ("most of the rest at a time", "peak"),
        ("  of it activations", "activations"),
        ("  of it gradients", "gradients"),
    )
    for name, field in rows:
        table.add_row(name, *(size(getattr(own, field)) for own in cost.memory.values()))
    table.add_section()
    table.add_row("all", *(size(own.total) for own in cost.memory.values()))
    return table


def _train_lines(cost: TrainCost) -> Iterable[str]:
    loading = cost.loading
    if loading.workers:
        yield (
            f"{amount(loading.workers, 'workers')} a device: {size(loading.batches)} of batches in "
            f"shared memory, {size(loading.texts)} of texts in all"
        )
    twice = ", twice that with mirrored clips" if loading.flipped else ""
    frames = amount(loading.frames, "frames")
    yield f"feature cache of all {frames}: {size(loading.cache)}{twice}"
    yield (
        f"{amount(cost.sentences, 'sentences')}, {amount(cost.processes, 'devices')}: "
        f"{_number(cost.steps_per_epoch)} steps an epoch"
    )
    steps = amount(cost.steps, "steps")
    if cost.adapter_steps:
        steps = f"{amount(cost.adapter_steps, 'steps')} of the adapter and {steps}"
    yield f"{steps}: {duration(cost.hours)} of the network {_speed(cost.tflops)}"
    yield "not counted: waiting for data, validation, the track head's own steps"


def _video_table(cost: PropagateCost) -> Table:
    table = _table("", *cost.video)
    videos = list(cost.video.values())
    rows = [
        ("encoder, GFLOP per frame", [own.per_frame / _GIGA for own in videos]),
        ("paths, GFLOP per frame and sentence", [own.per_sentence / _GIGA for own in videos]),
    ]
    if videos[0].shape.objects:
        each = [own.per_object / _GIGA for own in videos]
        rows.append(("tracks, GFLOP per frame and object", each))
    for name, values in rows:
        table.add_row(name, *map(_number, values))
    table.add_section()
    table.add_row("weights", *(size(cost.weights) for _ in videos))
    table.add_row("most of the rest at a time", *(size(own.peak) for own in videos))
    table.add_row("all", *(size(cost.weights + own.peak) for own in videos))
    return table


def _propagate_lines(cost: PropagateCost) -> Iterable[str]:
    most = "2 GB, on a GPU a quarter of its free memory,"
    if cost.features is not None:
        most = size(cost.features)
    yield (
        f"a longer video, up to {amount(cost.longest, 'frames')} here, adds its features, and "
        f"no more than {most} of them"
    )
    yield (
        f"{amount(cost.videos, 'videos')}, {amount(cost.frames, 'frames')}, "
        f"{amount(cost.sentences, 'sentences')}: {amount(cost.masks, 'masks')}, "
        f"{_number(cost.flops / _TERA)} TFLOP"
    )
    devices = amount(cost.processes, "devices")
    yield f"{duration(cost.hours)} of the network on {devices} {_speed(cost.tflops)}"
    yield "not counted: reading frames, writing masks, the track head"


def _speed(tflops: float) -> str:
    return f"at {tflops:g} TFLOP/s a device (--tflops)"


def duration(hours: float) -> str:
    """Hours, or minutes or seconds if there are few."""
    if hours >= 1:
        return f"{_number(hours)} hours"
    minutes = hours * _SIXTY
    if minutes >= 1:
        return f"{_number(minutes)} minutes"
    seconds = minutes * _SIXTY
    return f"{_number(seconds)} seconds" if seconds >= 1 else "less than a second"


def _millions(count: int) -> str:
    return f"{count / _MILLION:.2f} M"


def _number(value: float) -> str:
    """Three digits or so, whole numbers from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
