"""The layouts by name: recognising the one of a folder, and opening its reader."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from schemas.errors import MissingInput
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.layouts import LAYOUT_NAMES, READERS
from stages.core.datasets.layouts.youtube_vos import META_FOLDER
from stages.core.datasets.records import Dataset, DatasetPath


class Layout(Protocol):
    """A layout's reader class."""

    def __call__(self, source: DatasetPath, faults: Faults) -> Dataset:
        """Open a data set."""

    def looks_like(self, folder: Path) -> bool:
        """Return whether a folder has this layout, going by its file names."""


def layout_reader(name: str) -> Layout:
    """Load the reader class of a layout, one of LAYOUT_NAMES."""
    module, _, reader = READERS[name].partition(".")
    return cast(Layout, getattr(import_module(f"{__package__}.{module}"), reader))


def detect_layout(folder: Path) -> str | None:
    """Return the layout that a folder looks like, None if none."""
    return next((name for name in LAYOUT_NAMES if layout_reader(name).looks_like(folder)), None)


def splits_of(root: Path) -> list[str]:
    """List the folders in `root` that each look like a data set, by name."""
    folders = [path.name for path in sorted(root.iterdir()) if path.is_dir()]
    return [name for name in folders if name != META_FOLDER and detect_layout(root / name)]


def open_dataset(
    root: Path,
    *,
    layout: str | None = None,
    split: str | None = None,
    frames: Path | None = None,
    faults: Faults = strict,
) -> Dataset:
    """Open the reader of a data set.

    Args:
        layout: one of LAYOUT_NAMES; None detects it.
        split: for a folder with several.
        frames: an artifact of extract-frames, for a plain folder without frames of its own.
        faults: receives the faults inside; strict raises.

    Raises:
        MissingInput: no such folder, or none of a known layout.
        ConfigError: the folder has several splits and none is named.
    """
    if not root.is_dir():
        raise MissingInput("no such folder", where=root)
    source = DatasetPath(root, split, frames)
    name = layout or detect_layout(source.folder)
    if name is None:
        raise MissingInput("no data set of a known layout", where=root, hint=_advice(root))
    return layout_reader(name)(source, faults)


def _advice(root: Path) -> str:
    inner = splits_of(root)
    if inner:
        return f"name a split: --split {' or '.join(inner)}"
    return "name the folder of one split; docs/data.md lists what each layout needs"
