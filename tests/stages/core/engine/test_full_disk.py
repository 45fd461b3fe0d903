"""Disks that fill up: the old artifact stays whole, one line says why, and a rerun with room ends.

The disks are real: tmpfs of ten sizes for each stage, half of them short of bytes, half of inodes;
`make test` takes two of them, by turns.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tiny_world import OUTPUTS, TinyWorld, other_settings, snapshot, tgl

from schemas.errors import OutputBlocked

PAGE = 4096
PLENTY = (1 << 16, 1 << 16)
"""Pages and inodes that no stage here needs."""
Shares = tuple[tuple[float, ...], tuple[float, ...]]
"""Of the bytes, and of the inodes, that a stage needs beside the old artifact."""
SHARES: Shares = ((0.0, 0.25, 0.5, 0.75, 0.95),) * 2
QUICK: tuple[Shares, Shares] = (((0.25,), (0.95,)), ((0.95,), (0.25,)))
RERUN = (0.5, 0.95)
"""After these the stage runs again with room."""
_WATCH_SECONDS = 0.0005


def with_disks(cases: Sequence[tuple[object, ...]]) -> list[object]:
    """Each case with two disks, by turns, for `make test`; with all by `make test-slow`."""
    return [
        pytest.param(
            *case, shares, id=f"{' '.join(map(str, case)).strip(' {}')}-{name}", marks=marks
        )
        for number, case in enumerate(cases)
        for shares, name, marks in (
            (QUICK[number % 2], "two disks", ()),
            (SHARES, "ten", pytest.mark.slow),
        )
    ]


CASES: list[tuple[str, dict[str, object]]] = [
    *((stage, {}) for stage in OUTPUTS),
    ("extract-frames", {"format": "png"}),
    ("render", {"format": "mp4"}),
    ("render", {"format": "gif"}),
]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a tmpfs"
)


class Disk:
    """A small tmpfs at a folder, mounted afresh for each try: open files would keep their room."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._mounted = False
        folder.mkdir()

    def renew(self, pages: int, inodes: int, content: Path | None = None) -> None:
        """Mount one, fill it, then limit it: a copy may need more for a moment than in the end."""
        self.close()
        self._mount(f"size={PLENTY[0] * PAGE},nr_inodes={PLENTY[1]}")
        self._mounted = True
        if content is not None:
            shutil.copytree(content, self.folder, dirs_exist_ok=True)
        least = self.used()
        self._mount(f"remount,size={max(pages, least[0]) * PAGE},nr_inodes={max(inodes, least[1])}")

    def make_room(self) -> None:
        """Let everything fit."""
        self._mount(f"remount,size={PLENTY[0] * PAGE},nr_inodes={PLENTY[1]}")

    def used(self) -> tuple[int, int]:
        """Pages and inodes in use."""
        found = os.statvfs(self.folder)
        return found.f_blocks - found.f_bfree, found.f_files - found.f_ffree

    def close(self) -> None:
        """Take it away."""
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
            self._mounted = False

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "permission denied" in done.stderr:
            pytest.skip("a tmpfs may not be mounted here")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk on which everything fits."""
    made = Disk(tmp_path / "disk")
    made.renew(*PLENTY)
    yield made
    made.close()


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize(("stage", "changes", "shares"), with_disks(CASES))
def test_small_disks_for_each_stage(
    tiny_world: TinyWorld,
    disk: Disk,
    tmp_path: Path,
    stage: str,
    changes: dict[str, object],
    shares: Shares,
) -> None:
    out = disk.folder / "out"

    job = tiny_world.job(stage, **changes) if changes else other_settings(tiny_world, stage)

    def run() -> str | None:
        try:
            job.execute(out)
        except OutputBlocked as error:
            return str(error)
        return None

    shutil.copytree(tiny_world.root / OUTPUTS[stage], out, symlinks=True)
    check_small_disks(disk, tmp_path, run, shares)


def files_of(world: TinyWorld, name: str, out: Path, new: bool) -> list[object]:
    """The words of a command that writes single files, into the place of others that it wrote."""
    preds = world.preds if new else world.answers
    if name == "submit":
        meta = world.dataset / "train" / "meta_expressions.json"
        return ["submit", preds, "--out", out, "--meta", meta, "--workers", 1]
    if name == "export-moments":
        moments = (world.chosen if new else world.index) / "moments.parquet"
        return ["export-moments", world.index, out, "--moments", moments]
    if name == "score --report":
        return ["score", preds, world.index, "--report", out, "--workers", 1]
    return [
        *("segment", world.video("b"), "the new one" if new else "the old one"),
        *("-o", out.with_name("o.mp4"), "--table", out.with_name("t.parquet"), "--masks", out),
        *("--checkpoint", world.model, "--device", "cpu", "--workers", 1),
        *(["--online"] if name == "segment --online" else []),
    ]


FILES = ["submit", "export-moments", "score --report", "segment", "segment --online"]


@pytest.mark.parametrize(("name", "shares"), with_disks([(name,) for name in FILES]))
def test_small_disks_for_each_command(
    tiny_world: TinyWorld, disk: Disk, tmp_path: Path, name: str, shares: Shares
) -> None:
    out = disk.folder / "out"

    def run() -> str | None:
        code, _, said = tgl(*files_of(tiny_world, name, out, new=True))
        assert code in (0, OutputBlocked.exit_code), said
        return said.removeprefix("error: ") if code else None

    assert tgl(*files_of(tiny_world, name, out, new=False))[0] == 0
    check_small_disks(disk, tmp_path, run, shares)


def check_small_disks(
    disk: Disk, tmp_path: Path, run: Callable[[], str | None], shares: Shares
) -> None:
    """Run on disks that are too small, and again with room.

    Args:
        run: replaces everything on the disk; gives the line that says why it failed.
        shares: of the bytes and of the inodes that the run needs; none of them is enough.
    """
    old, (pages, inodes) = snapshot(disk.folder), disk.used()
    full = tuple(f"{path}: the disk is full; free some space" for path in disk.folder.iterdir())
    shutil.copytree(disk.folder, tmp_path / "old")
    more_pages, more_inodes = _most_used(disk, run)
    new = snapshot(disk.folder)
    limits = [
        *((share, pages + int(share * (more_pages - pages)), PLENTY[1]) for share in shares[0]),
        *((share, PLENTY[0], inodes + int(share * (more_inodes - inodes))) for share in shares[1]),
    ]
    for share, most_pages, most_inodes in limits:
        disk.renew(most_pages, most_inodes, tmp_path / "old")
        said = run()
        assert said is not None
        assert said.startswith(full)
        assert said.strip().count("\n") == 0
        left = snapshot(disk.folder)
        assert {name: left.get(name) for name in old} == old
        if share in RERUN:
            disk.make_room()
            assert run() is None
            assert snapshot(disk.folder) == new


def _most_used(disk: Disk, run: Callable[[], object]) -> tuple[int, int]:
    """Pages and inodes that are in use at most while a stage works."""
    most, done = [0, 0], threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            for place, used in enumerate(disk.used()):
                most[place] = max(most[place], used)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return most[0], most[1]
