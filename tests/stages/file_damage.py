"""The ways in which a file of a folder can be damaged, twenty in all, for tests of its readers."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[Path], None]


def _rewritten(change: Callable[[bytes], bytes]) -> Damage:
    """Write the changed content to a new file: the whole one may be linked elsewhere."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(change(content))

    return damage


def _instead(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _flipped(seed: int) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place, bit = random.Random(seed).randrange(len(content)), seed % 8
        return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

    return flip


DAMAGES: dict[str, Damage] = {
    "missing": lambda path: path.unlink(),
    "empty": _rewritten(lambda content: b""),
    "one byte": _rewritten(lambda content: content[:1]),
    "a quarter": _rewritten(lambda content: content[: len(content) // 4]),
    "a half": _rewritten(lambda content: content[: len(content) // 2]),
    "all but four bytes": _rewritten(lambda content: content[:-4]),
    "zeros": _rewritten(lambda content: bytes(len(content))),
    "noise": _rewritten(lambda content: random.Random(0).randbytes(len(content))),
    "noise in front": _rewritten(lambda content: random.Random(1).randbytes(64) + content[64:]),
    "folder": _instead(lambda path: path.mkdir()),
    "FIFO": _instead(os.mkfifo),
    "link to nothing": _instead(lambda path: path.symlink_to("nowhere")),
    "link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "link to a FIFO": _instead(
        lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe"))
    ),
    "flipped first": _rewritten(lambda content: bytes([content[0] ^ 1]) + content[1:]),
    **{f"flipped {seed}": _rewritten(_flipped(seed)) for seed in range(5)},
}
"""By name; those of "flipped" change one bit, which a reader without a digest may not see."""


def damaged_copies(whole: Path, name: str, copy: Path) -> Iterator[tuple[str, Path]]:
    """A copy of a folder with each damage to one of its files, in turn at the same place.

    Args:
        whole: a folder of files; it stays as it is.
        name: of the file in it.
        copy: where the copy is made.
    """
    for damage, spoil in DAMAGES.items():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy, copy_function=os.link)
        spoil(copy / name)
        yield damage, copy
