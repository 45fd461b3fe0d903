"""Viewing: everything between the command line and the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stages.core.browser.choosing import choose
from stages.core.browser.server import Address, open_port, serve
from stages.core.engine.digest import require_folder
from stages.core.engine.progress import Progress
from stages.tools.view.config import ViewConfig, ViewInputs
from stages.tools.view.predictions import Prediction
from stages.tools.view.session import ViewSession
from stages.tools.view.source import open_frames, open_index


def view(
    config: ViewConfig,
    inputs: ViewInputs,
    *,
    ready: Callable[[Address], None],
    progress: Progress,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        ready: receives the address to open.
        progress: receives warnings.

    Raises:
        TglError: an input is missing or damaged.
    """
    session = open_session(config, inputs, progress.warn)
    with open_port(config.port) as port:
        serve(session, port, ready)


def open_session(
    config: ViewConfig, inputs: ViewInputs, warn: Callable[[str], None]
) -> ViewSession:
    """Read the small tables of all inputs; raises as :func:`view`."""
    require_folder(inputs.frames)
    inputs.check()
    scores: Sequence[Path | None] = [*inputs.scores, *[None] * len(inputs.preds)]
    predictions = [Prediction(*pair) for pair in zip(inputs.preds, scores, strict=False)]
    open_source = open_index if inputs.has_index else open_frames
    source = open_source(inputs.frames, predictions)
    for line in source.warnings:
        warn(line)
    rows = choose(config.only, [expression.key for expression in source.expressions])
    about = {"title": inputs.frames.resolve().name, "index": str(inputs.frames)}
    return ViewSession(about, source, rows, predictions)
