"""What an output may replace: one set of rules for folders and for single files.

An output is never an input, lies in none and holds none, whatever links lead there. A folder takes
the place of an artifact of the same stage, a file that of a file which tgl wrote and nobody changed
since; anything else is the user's, and is replaced only where --force says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.directories import (
    list_folder,
    locked,
    publish,
    recover,
    remove_tree,
    scratch_path,
    sha256_file,
    write_text_atomic,
)
from schemas.documents import load_object
from schemas.errors import OutputBlocked, TglError
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import Receipt, read_receipt

FORMAT = "tgl-output"
ANOTHER = "name another output"
FORCE = "name another output, or replace it with --force"
_ATTRIBUTE = "user.tgl.sha256"
_ONCE = "once"
"""In the place of a fingerprint: nobody can go on with what came once."""

_Identity = tuple[int, int] | Path
"""Device and inode, or the path of what does not exist."""


def refuse_inputs(out: Path, inputs: Iterable[Path]) -> None:
    """Check that an output is no input, lies in none and holds none; links are followed.

    Raises:
        OutputBlocked: it is, does or would.
    """
    chain = _identities(out)
    for path in inputs:
        found = _identities(path)
        if chain[0] == found[0]:
            raise OutputBlocked("is an input of this command", where=out, hint=ANOTHER)
        if found[0] in chain:
            raise OutputBlocked(f"lies inside the input {path}", where=out, hint=ANOTHER)
        if chain[0] in found:
            raise OutputBlocked(f"holds the input {path}", where=out, hint=ANOTHER)


def _identities(path: Path) -> list[_Identity]:
    """A path, links followed, and the folders above it."""
    real = Path(os.path.realpath(path))
    return [_identity(place) for place in (real, *real.parents)]


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def replaceable(out: Path, stage: str, *, force: bool, named: Path | None = None) -> Receipt | None:
    """Check that a folder may take the place of `out`.

    Args:
        stage: that would write it.
        named: `out` as the user named it, for messages.
        force: replace whatever is there, but for a file or a folder that holds the user's own.

    Returns:
        the receipt of the artifact that would be replaced; None where there is none.

    Raises:
        OutputBlocked: it is a file, another stage's artifact, or holds what tgl did not write.
    """
    if not os.path.lexists(out):
        return None
    if not out.is_dir():
        raise OutputBlocked("is a file, the output is a folder", where=named or out, hint=ANOTHER)
    if not any(out.iterdir()):
        return None
    receipt, reason = _owner(out, stage)
    if reason is None:
        return receipt
    if not force:
        raise OutputBlocked(reason, where=named or out, hint=FORCE)
    for place in (Path.cwd(), Path.home()):
        if _identity(out) in _identities(place):
            reason = f"{reason}, and is or holds the folder {place}"
            raise OutputBlocked(reason, where=named or out, hint=ANOTHER)
    return None


def _owner(out: Path, stage: str) -> tuple[Receipt | None, str | None]:
    """The receipt of a folder, and why `stage` may not replace it (None if it may)."""
    try:
        receipt = read_receipt(out)
    except TglError as error:
        return None, f"has a receipt that does not tell what made it ({error.message})"
    if receipt is None:
        return None, "holds files that tgl did not write"
    if receipt.stage != stage:
        return receipt, f"was made by tgl {receipt.stage}, not by tgl {stage}"
    added = _added(out, receipt)
    if added is not None:
        return receipt, f"holds files that tgl did not write ({added})"
    return receipt, None


def _added(out: Path, receipt: Receipt) -> str | None:
    """What was put into an artifact since it was made, as far as its receipt tells."""
    found = list_folder(out, digest=lambda _: "")
    names = sorted(found.tables.keys() - receipt.outputs.tables.keys())
    if names:
        return names[0]
    more = found.files - receipt.outputs.files
    return f"{more} more than its receipt counts" if more > 0 else None


@contextmanager
def shown_as(named: Path, hidden: Path) -> Iterator[None]:
    """Let errors about a file or folder that the user never named tell of `named`.

    Args:
        hidden: the file, or the folder in which it lies.
    """
    try:
        yield
    except TglError as error:
        if _lies_in(error.where, hidden):
            error.relocate(named)
        raise
    except OSError as error:
        if _lies_in(error.filename, hidden):
            error.filename = str(named)
        raise


@contextmanager
def unnamed_as(named: Path) -> Iterator[None]:
    """Let the system's errors that name no file, as those of a write, tell of `named`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(named)
        raise


def _lies_in(name: object, place: Path) -> bool:
    """Whether a name, if it is one, is that of a file or folder or of something in it."""
    return isinstance(name, str) and Path(name).is_relative_to(place)


@contextmanager
def output_folder(out: Path, stage: str, *, inputs: Sequence[Path], force: bool) -> Iterator[Path]:
    """Fill a folder that appears whole when the block ends, or not at all where it raises.

    For what comes once and is not made by execute(). The rules are the same; the block writes the
    receipt.

    Args:
        stage: whose artifact it is.
        inputs: of the command.
        force: replace whatever is there, but for an input.

    Raises:
        OutputBlocked: it may not be written, or another run is writing it.
    """
    refuse_inputs(out, inputs)
    real = Path(os.path.realpath(out))
    real.parent.mkdir(parents=True, exist_ok=True)
    scratch = scratch_path(real, _ONCE)
    with shown_as(out, scratch), locked(real, named=out):
        recover(real)
        replaceable(real, stage, force=force, named=out)
        remove_tree(scratch)
        scratch.mkdir()
        try:
            yield scratch
            publish(scratch, real)
        finally:
            remove_tree(scratch)


class OutputFiles:
    """Single files that a command writes; see :func:`output_files`."""

    def __init__(self, inputs: Sequence[Path], force: bool, stack: ExitStack):
        self._inputs = inputs
        self._force = force
        self._stack = stack
        self._added: dict[Path, tuple[Path, bool]] = {}

    def add(self, target: Path, *, known: bool = False) -> Path:
        """Take a file into the group, before any work is done.

        Args:
            target: a file, or what a link to one names.
            known: the caller knows that tgl wrote what is there.

        Returns:
            where to write it, with the suffix of `target`; a file that is not written there
            leaves `target` as it is.

        Raises:
            OutputBlocked: it may not be written; see :func:`output_files`.
        """
        refuse_inputs(target, self._inputs)
        real = Path(os.path.realpath(target))
        _require_own(real, target, force=self._force or known)
        real.parent.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(locked(real, named=target))
        temporary = real.with_name(f".partial-{real.name}")
        self._stack.enter_context(shown_as(target, temporary))
        self._stack.callback(temporary.unlink, missing_ok=True)
        self._added[real] = temporary, known
        return temporary

    def _publish(self) -> None:
        """Let all files appear."""
        written = {real: found for real, found in self._added.items() if found[0].exists()}
        for real, (_, known) in written.items():
            _require_own(real, real, force=self._force or known)
        for real, (temporary, _) in written.items():
            _mark_written(temporary, real)
        for real, (temporary, _) in written.items():
            temporary.replace(real)


@contextmanager
def output_files(inputs: Sequence[Path], *, force: bool) -> Iterator[OutputFiles]:
    """Write files that appear together at the end, or not at all where an error comes first.

    Each file keeps its SHA-256 in an extended attribute; where the file system has none, a hidden
    note `.x.tgl` beside the file `x` does. So a file is known as tgl's own until somebody edits it.

    Args:
        inputs: of the command.
        force: replace files that tgl did not write.

    Raises:
        OutputBlocked: a file is an input or lies in one, exists and is not as tgl wrote it, or
            another run is writing it.
    """
    with ExitStack() as stack:
        files = OutputFiles(inputs, force, stack)
        yield files
        files._publish()


def _require_own(real: Path, named: Path, *, force: bool) -> None:
    if not os.path.lexists(real):
        return
    if not real.is_file():
        kind = "a folder" if real.is_dir() else "no regular file"
        raise OutputBlocked(f"is {kind}, the output is a file", where=named, hint=ANOTHER)
    known = () if force else _known_sums(real)
    if not force and sha256_file(real) not in known:
        reason = "is not as tgl wrote it" if known else "was not written by tgl"
        raise OutputBlocked(f"exists and {reason}", where=named, hint=FORCE)


def _mark_written(temporary: Path, real: Path) -> None:
    """Keep the SHA-256 of a file that is about to take the place of `real`."""
    found = sha256_file(temporary)
    try:
        os.setxattr(temporary, _ATTRIBUTE, found.encode())
    except (OSError, AttributeError):  # AttributeError: Python knows them on Linux alone
        before = [sha256_file(real)] if real.exists() else []
        document = {"format": FORMAT, "sha256": [*before, found]}
        write_text_atomic(_note_path(real), json.dumps(document) + "\n")


def _known_sums(real: Path) -> Sequence[object]:
    """SHA-256 sums that the file had when tgl wrote it."""
    try:
        return [os.getxattr(real, _ATTRIBUTE).decode("ascii", "replace")]
    except (OSError, AttributeError):
        pass
    try:
        found = load_object(_note_path(real)).get("sha256")
    except TglError:
        return ()
    return found if isinstance(found, list) else ()


def _note_path(real: Path) -> Path:
    return real.with_name(f".{real.name}.tgl")


def artifact_mark(path: Path) -> tuple[object, ...] | None:
    """What changes when an input is replaced while it is read; None where it does not exist.

    Of a folder its inode, the receipt's bytes, and when it was last renamed or given another entry
    (inodes are used again); of a file its inode, size and time.
    """
    try:
        status = path.stat()
        if not path.is_dir():
            return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        receipt = path / RECEIPT_FILE
        content = receipt.read_bytes() if receipt.is_file() else b""
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns, content
