"""Finding the videos that arguments name: files, folders, glob patterns, list files."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput
from schemas.files import read_regular
from schemas.layouts import looks_like_video, natural_key

LIST_MARK = "@"
_COMMENT = "#"


def find_videos(names: Sequence[str | Path]) -> tuple[Path, ...]:
    """Expand `names` to videos, in their order, each once.

    Args:
        names: each a video, a folder (its videos, sorted by name, without subfolders), a glob
            pattern, or `@FILE`, a text file with one such name per line; names in it are relative
            to it, empty lines and lines that begin with # are ignored.

    Raises:
        MissingInput: a name expands to no video.
        CorruptInput: a list file is not UTF-8 text, or names another list file.
    """
    found: dict[Path, None] = {}
    for name in names:
        try:
            found |= dict.fromkeys(path for one in names_of(str(name)) for path in _named(one))
        except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, no such ~user
            raise MissingInput(f"cannot be a file name ({error})", where=repr(name)) from error
    return tuple(found)


def names_of(name: str) -> Iterator[str]:
    """The names in the list file that `@FILE` means, as if it lay here; else the name itself.

    Raises:
        MissingInput: no such list.
        CorruptInput: it is not UTF-8 text, or names another list file.
    """
    if not name.startswith(LIST_MARK) or Path(name).exists():
        yield name
        return
    path = Path(name.removeprefix(LIST_MARK))
    try:
        text = read_regular(path, missing="no such list of videos").decode()
    except UnicodeDecodeError as error:
        raise CorruptInput("is not UTF-8 text", where=path) from error
    for number, line in enumerate(text.splitlines(), start=1):
        listed = line.strip()
        if not listed or listed.startswith(_COMMENT):
            continue
        if listed.startswith(LIST_MARK) or "\0" in listed:
            raise CorruptInput(f"{listed!r} is not the name of a video", where=f"{path}, {number}")
        yield str(path.parent / Path(listed).expanduser())


def matches(pattern: Path) -> list[Path]:
    """The files and folders that a glob pattern matches, by the numbers in their names.

    Raises:
        MissingInput: there are none.
    """
    found = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 (Path takes no absolute one)
    if not found:
        raise MissingInput("matches no file", where=pattern)
    return [Path(name) for name in sorted(found, key=natural_key)]


def _named(name: str) -> Iterator[Path]:
    path = Path(name).expanduser()
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists() or not glob.has_magic(name):
        yield path  # a missing one is reported with the digests of all inputs
    else:
        yield from matches(path)


def _in_folder(folder: Path) -> list[Path]:
    """The videos of a folder.

    Raises:
        MissingInput: it has none, or a name with the suffix of a video is not a file.
    """
    found = sorted(path for path in folder.iterdir() if looks_like_video(path))
    if not found:
        raise MissingInput("contains no videos", where=folder)
    faults = [(path, fault) for path in found if (fault := not_a_file(path)) is not None]
    if faults:
        path, fault = faults[0]
        more = f" (and {len(faults) - 1} more in this folder)" if len(faults) > 1 else ""
        raise MissingInput(f"{fault}{more}", where=path, hint="remove or rename it, or restore it")
    return found


def not_a_file(path: Path) -> str | None:
    """The reason why `path` cannot be read as a file, without opening it; None if it can."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to a missing file" if path.is_symlink() else "no such file"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads to itself"
        return (os.strerror(error.errno) if error.errno else str(error)).lower()
    if stat.S_ISREG(mode):
        return None
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "device")
    return f"is a {kind}, not a video file"
