"""The rules for what an output may replace, for folders and for single files.

An output is never an input, lies in none and contains none, through links either. A folder may
replace an artifact of the same stage, a file one that tgl wrote and nobody changed since; anything
else is the user's and is replaced only with --force.
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
from schemas.errors import ConfigError, OutputBlocked, TglError
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import Receipt, read_receipt

FORMAT = "tgl-output"
ANOTHER = "name another output"
FORCE = "name another output, or replace it with --force"
_ATTRIBUTE = "user.tgl.sha256"
_FILE_SUFFIXES = {
    *(".mp4", ".mov", ".webm", ".mkv", ".gif", ".png", ".jpg", ".jpeg", ".zip", ".tar", ".gz"),
    *(".json", ".jsonl", ".csv", ".parquet", ".xml", ".toml", ".html", ".txt", ".safetensors"),
}
"""What a user who ends the name of an output in one of these expects to be a file."""
_ONCE = "once"
"""In place of a fingerprint: such an output cannot be resumed."""

_Identity = tuple[int, int] | Path
"""Device and inode, or the path if it does not exist."""


def refuse_inputs(out: Path, inputs: Iterable[Path]) -> None:
    """Check that an output is not an input, and neither in nor above one; links are followed.

    Raises:
        OutputBlocked: it is.
    """
    chain = _identities(out)
    for path in inputs:
        found = _identities(path)
        if chain[0] == found[0]:
            raise OutputBlocked("is an input of this command", where=out, hint=ANOTHER)
        if found[0] in chain:
            raise OutputBlocked(f"lies inside the input {path}", where=out, hint=ANOTHER)
        if chain[0] in found:
            raise OutputBlocked(f"contains the input {path}", where=out, hint=ANOTHER)


def _identities(path: Path) -> list[_Identity]:
    """Identities of a path, with links resolved, and of the folders above it."""
    real = Path(os.path.realpath(path))
    return [_identity(folder) for folder in (real, *real.parents)]


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def replaceable(out: Path, stage: str, *, force: bool, named: Path | None = None) -> Receipt | None:
    """Check that `stage` may replace the folder `out`.

    Args:
        named: `out` as the user named it, for messages.
        force: replace whatever is there, except a file and the current and the home folder.

    Returns:
        the receipt of the artifact that would be replaced, None if there is none.

    Raises:
        OutputBlocked: it is a file or would be named like one, is another stage's artifact, or has
            files that tgl did not write.
    """
    if not os.path.lexists(out):
        if out.suffix.lower() in _FILE_SUFFIXES and not force:
            named_so = f"ends in {out.suffix}, and the output is a folder"
            raise OutputBlocked(named_so, where=named or out, hint="name a folder")
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
    for folder in (Path.cwd(), Path.home()):
        if _identity(out) in _identities(folder):
            reason = f"{reason}, and is or contains the folder {folder}"
            raise OutputBlocked(reason, where=named or out, hint=ANOTHER)
    return None


def _owner(out: Path, stage: str) -> tuple[Receipt | None, str | None]:
    """The receipt of a folder, and the reason why `stage` may not replace it (None if it may)."""
    try:
        receipt = read_receipt(out)
    except TglError as error:
        return None, f"has an unreadable receipt ({error.message})"
    if receipt is None:
        return None, "contains files that tgl did not write"
    if receipt.stage != stage:
        return receipt, f"was made by tgl {receipt.stage}, not by tgl {stage}"
    added = _added(out, receipt)
    if added is not None:
        return receipt, f"contains files that tgl did not write ({added})"
    return receipt, None


def _added(out: Path, receipt: Receipt) -> str | None:
    """The files added to an artifact since it was made, by its receipt; None without any."""
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
    """Fill a folder that appears when the block ends, or not at all if it raises.

    For artifacts that are not made by execute(), under the same rules; the block writes the
    receipt.

    Args:
        stage: name of the artifact's stage.
        inputs: of the command.
        force: replace whatever is there, except an input.

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
    """Files that a command writes; see :func:`output_files`."""

    def __init__(self, inputs: Sequence[Path], force: bool, stack: ExitStack):
        self._inputs = inputs
        self._force = force
        self._stack = stack
        self._added: dict[Path, tuple[Path, bool]] = {}

    def add(self, target: Path, *, known: bool = False) -> Path:
        """Add a file to the group, before any work is done.

        Args:
            target: a file, or a link to one.
            known: the caller knows that tgl wrote the existing file.

        Returns:
            the path to write to, with the suffix of `target`; if nothing is written there,
            `target` stays as it is.

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
        """Move all files into place."""
        written = {real: added for real, added in self._added.items() if added[0].exists()}
        for real, (_, known) in written.items():
            _require_own(real, real, force=self._force or known)
        for real, (temporary, _) in written.items():
            _mark_written(temporary, real)
        for real, (temporary, _) in written.items():
            temporary.replace(real)


@contextmanager
def output_files(inputs: Sequence[Path], *, force: bool) -> Iterator[OutputFiles]:
    """Write files that appear together at the end, or not at all after an error.

    The SHA-256 of each file is kept in an extended attribute, or in a hidden file `.x.tgl` beside
    the file `x` if the file system has no attributes. It shows that tgl wrote the file and that
    nobody changed it since.

    Args:
        inputs: of the command.
        force: replace files that tgl did not write.

    Raises:
        OutputBlocked: a file is an input or lies in one, exists and was not written by tgl or
            changed since, or another run is writing it.
    """
    with ExitStack() as stack:
        files = OutputFiles(inputs, force, stack)
        yield files
        files._publish()


def _require_own(real: Path, named: Path, *, force: bool) -> None:
    if not os.path.lexists(real):
        return
    if not real.is_file():
        kind = "is a folder" if real.is_dir() else "is not a regular file"
        raise OutputBlocked(f"{kind}, the output is a file", where=named, hint=ANOTHER)
    known = () if force else _known_sums(real)
    if not force and sha256_file(real) not in known:
        reason = "was changed since tgl wrote it" if known else "was not written by tgl"
        raise OutputBlocked(f"exists and {reason}", where=named, hint=FORCE)


def _mark_written(temporary: Path, real: Path) -> None:
    """Store the SHA-256 of a file that is about to replace `real`."""
    found = sha256_file(temporary)
    try:
        os.setxattr(temporary, _ATTRIBUTE, found.encode())
    except (OSError, AttributeError):  # AttributeError: Python has them on Linux alone
        before = [sha256_file(real)] if real.exists() else []
        document = {"format": FORMAT, "sha256": [*before, found]}
        write_text_atomic(_note_path(real), json.dumps(document) + "\n")


def _known_sums(real: Path) -> Sequence[object]:
    """SHA-256 sums of the file as tgl wrote it."""
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


def require_suffix(target: Path, *suffixes: str, option: str) -> None:
    """Check that a single file's name, if it has a suffix, has one of its format.

    Args:
        option: that named the file.

    Raises:
        ConfigError: it has another one.
    """
    if target.suffix and target.suffix.lower() not in suffixes:
        raise ConfigError(f"{target.name!r} does not end in {' or '.join(suffixes)}", where=option)


def input_state(path: Path) -> tuple[object, ...] | None:
    """The state of an input, which changes when it is replaced; None if it does not exist.

    Of a folder the inode, the time of change (inodes are reused) and the receipt; of a file the
    inode, size and time.
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
