"""The scratch folder of a run, and the units (videos, clips) that are finished in it.

A unit is stored with the digest of everything it depends on. An interrupted run finds its units
again; a run with a new or fixed video reuses the units of all other videos from the existing
artifact, as hard links.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.directories import ENGINE_FOLDER, remove_tree
from schemas.errors import TglError
from schemas.parquet import TableWriter, write_table
from schemas.receipts import canonical_json
from schemas.tables import TableSpec

_UNITS = "units"
_KEEP = "keep"
_MARK = b"tgl.unit"


class Workspace:
    """The folder that a stage writes to.

    Args:
        path: the folder that becomes the artifact.
        identity: stage, version and config; part of every unit's key.
        receipt: stage and settings, for the footer of every table.
        previous: the existing artifact and scratch folders of interrupted runs, whose finished
            units may be reused.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        receipt: str,
        previous: Sequence[Path] = (),
    ):
        self.path = path
        self._receipt = receipt
        self._identity = canonical_json(identity)
        self._previous = tuple(previous)
        self._units = path / ENGINE_FOLDER / _UNITS
        self._units.mkdir(parents=True, exist_ok=True)

    @property
    def previous(self) -> tuple[Path, ...]:
        """Folders whose finished units may be reused."""
        return self._previous

    @property
    def keep(self) -> Path:
        """A folder for the state to resume from; it is not part of the artifact."""
        folder = self.path / ENGINE_FOLDER / _KEEP
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write_table(self, name: str, table: pa.Table, spec: TableSpec) -> None:
        """Write a table of the artifact; its footer says what made it.

        Raises:
            SchemaMismatch: the rows do not conform to `spec`.
        """
        write_table(self.path / name, table, spec, receipt=self._receipt)

    def table_writer(
        self,
        name: str,
        spec: TableSpec,
        *,
        row_group_rows: int | None = None,
        dictionary: bool | list[str] = True,
        statistics: bool | list[str] = True,
    ) -> TableWriter:
        """A writer for a table that comes in pieces; see :class:`TableWriter`."""
        return TableWriter(
            self.path / name,
            spec,
            receipt=self._receipt,
            row_group_rows=row_group_rows,
            dictionary=dictionary,
            statistics=statistics,
        )

    def finished(self, name: str, key: str) -> pa.Table | None:
        """The rows of a finished unit, or None if it must be computed.

        Args:
            name: of the unit, unique in the artifact.
            key: digest of the unit's inputs.
        """
        digest = self._digest(name, key)
        own = _read_unit(self._mark(self.path, name), digest, self.path)
        if own is not None:
            return own[0]
        for folder in self._previous:
            found = _read_unit(self._mark(folder, name), digest, folder)
            if found is not None:
                table, files = found
                self.finish(name, key, table, self._take_over(folder, files))
                return table
        return None

    def lost(self, what: str) -> TglError:
        """The error for a unit that was finished and is not found again.

        Args:
            what: in the plural, such as `the tracks of video a`.
        """
        return TglError(
            f"{what} were lost or changed during the run",
            where=self.path,
            hint="run the same command again; finished work is kept",
        )

    def keep_previous(self, name: str) -> pa.Table | None:
        """Reuse a unit of an earlier run, whatever its inputs were then.

        For a unit that fails now: it keeps its former key, so that the next run recomputes it.

        Returns:
            its rows; None if no earlier run finished it or its files were changed since.
        """
        for folder in self._previous:
            found = _read_unit(self._mark(folder, name), None, folder)
            if found is not None:
                table, files = found
                self._take_over(folder, files)
                _link(self._mark(folder, name), self._mark(self.path, name))
                return table
        return None

    def _take_over(self, folder: Path, files: Sequence[str]) -> list[Path]:
        """Link files of another folder into this one."""
        for relative in files:
            _link(folder / relative, self.path / relative)
        return [self.path / relative for relative in files]

    def finish(self, name: str, key: str, rows: pa.Table, files: Sequence[Path] = ()) -> None:
        """Mark a unit as done.

        Args:
            rows: data that the stage needs of it at the end (any schema).
            files: that it wrote below `path`; their sizes are checked when the unit is reused.
        """
        sizes = {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}
        mark = json.dumps({"digest": self._digest(name, key), "files": sizes}).encode()
        target = self._mark(self.path, name)
        temporary = target.with_suffix(".partial")
        pq.write_table(
            rows.replace_schema_metadata({_MARK: mark}),
            temporary,
            compression="zstd",
            write_page_checksum=True,
        )
        temporary.replace(target)

    def discard(self, name: str) -> None:
        """Unmark a finished unit; the caller removes its files."""
        self._mark(self.path, name).unlink(missing_ok=True)

    def discard_all(self) -> None:
        """Unmark all units, as when inputs were replaced during the run."""
        remove_tree(self._units)
        self._units.mkdir()

    def drop_if_useless(self) -> None:
        """Remove the folder if the next run could not resume from it."""
        with contextlib.suppress(OSError):  # a thread that was not waited for may still write
            if not holds_units(self.path):
                remove_tree(self.path)

    def close(self) -> None:
        """Remove everything that is not part of the artifact, before it is published."""
        remove_tree(self.path / ENGINE_FOLDER / _KEEP)
        if not any(self._units.iterdir()):
            remove_tree(self.path / ENGINE_FOLDER)

    def _digest(self, name: str, key: str) -> str:
        return hashlib.sha256(f"{self._identity}\0{name}\0{key}".encode()).hexdigest()

    @staticmethod
    def _mark(root: Path, name: str) -> Path:
        file_name = hashlib.sha256(name.encode()).hexdigest()[:32]
        return root / ENGINE_FOLDER / _UNITS / f"{file_name}.parquet"


def holds_units(folder: Path) -> bool:
    """Return whether a later run can resume from a scratch folder."""
    state = (folder / ENGINE_FOLDER / name for name in (_UNITS, _KEEP))
    return any(part.is_dir() and any(part.iterdir()) for part in state)


def _read_unit(mark: Path, digest: str | None, root: Path) -> tuple[pa.Table, list[str]] | None:
    """Rows and files of a unit; None if it is missing, damaged, or has another digest.

    Args:
        digest: the required digest; None accepts any.
    """
    if not mark.is_file():
        return None
    try:
        table = pq.read_table(mark, page_checksum_verification=True)
        known = json.loads((table.schema.metadata or {})[_MARK])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    if digest is not None and known["digest"] != digest:
        return None
    for relative, size in known["files"].items():
        file = root / relative
        if not file.is_file() or file.stat().st_size != size:
            return None
    return table.replace_schema_metadata(None), list(known["files"])


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
