"""The folder of an annotator: whose it is, its lock, and its log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from schemas.directories import PARTIAL, locked
from schemas.errors import OutputBlocked, TglError
from schemas.layouts import ANNOTATION_LOG
from schemas.receipts import read_receipt
from stages.core.engine.outputs import ANOTHER, refuse_inputs
from stages.core.engine.progress import Progress
from stages.tools.annotate.log import Log, Reader, sync_folder
from stages.tools.annotate.records import Replay, Sentences

_FOREIGN = "contains files that tgl annotate did not write"


def annotators(out: Path) -> list[Path]:
    """The folders of all annotators in OUT, by name."""
    if not out.is_dir():
        return []
    return sorted(path for path in out.iterdir() if (path / ANNOTATION_LOG).is_file())


@contextmanager
def own_folder(out: Path, annotator: str, inputs: Sequence[Path]) -> Iterator[Path]:
    """The locked folder of an annotator, made if there is none.

    Raises:
        OutputBlocked: it is an input, holds something else, or another process works in it.
    """
    folder = out / annotator
    refuse_inputs(folder, inputs)
    _require_ours(out)
    real = Path(os.path.realpath(folder))
    _make_folder(real.parent)
    with locked(real, named=folder):
        _require_annotator(folder)
        _make_folder(real)
        for path in real.glob(PARTIAL):  # of a kill while it was written
            path.unlink()
        yield folder


def open_log(
    folder: Path, sentences: Sentences, annotator: str, mode: str, progress: Progress
) -> tuple[Log, Replay]:
    """Open the log of a locked folder, or begin one; what a kill left torn is cut off.

    Raises:
        CorruptInput: it is damaged.
        MissingInput: it was made for another index.
        OutputBlocked: it was made in another mode.
    """
    path = folder / ANNOTATION_LOG
    if not path.is_file():
        header = {"annotator": annotator, "mode": mode, "index": str(sentences.folder)}
        return Log.create(path, header), Replay(sentences, path)
    reader = Reader(path)
    if reader.header.get("mode") != mode:
        raise OutputBlocked(
            f"was begun with tgl annotate {_option(reader.header.get('mode'))}",
            where=folder,
            hint="name another --annotator",
        )
    replay = Replay(sentences, path, reader.header.get("index", ""))
    replay.extend(reader.follow())
    if reader.torn:
        progress.warn(
            f"{path}: cut off {reader.torn} bytes of an action that was not written completely; "
            f"the {reader.count - 1} before it are kept"
        )
    return Log(path, reader), replay


def _option(mode: object) -> str:
    return "--adjudicate" if mode == "adjudicate" else "without --adjudicate"


def _make_folder(folder: Path) -> None:
    """Make a folder with those above it, so that a power loss leaves it with what it will hold."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        sync_folder(path.parent)


def _require_ours(out: Path) -> None:
    """Refuse an OUT that holds anything but annotators' folders."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputBlocked("is a file, the output is a folder", where=out, hint=ANOTHER)
    try:
        receipt = read_receipt(out)
    except TglError:
        receipt = None
    if receipt is not None:
        stage = receipt.stage
        raise OutputBlocked(
            f"was made by tgl {stage}, not by tgl annotate"
            if stage != "annotate"
            else "is the folder of one annotator",
            where=out,
            hint=ANOTHER if stage != "annotate" else f"name the folder above it, {out.parent}",
        )
    for path in sorted(out.iterdir()):
        if not path.name.startswith(".") and not _is_annotator(path):
            raise OutputBlocked(f"{_FOREIGN} ({path.name})", where=out, hint=ANOTHER)


def _is_annotator(path: Path) -> bool:
    """Whether a folder is an annotator's, or one that a kill left without a log."""
    if not path.is_dir():
        return False
    names = [found.name for found in path.iterdir() if not fnmatch(found.name, PARTIAL)]
    return ANNOTATION_LOG in names or not names


def _require_annotator(folder: Path) -> None:
    if os.path.lexists(folder) and not _is_annotator(folder):
        raise OutputBlocked(_FOREIGN, where=folder, hint="name another --annotator")
