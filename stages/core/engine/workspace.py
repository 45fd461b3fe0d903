"""The scratch folder of a run, and the units (videos, clips) that are finished in it.

A unit is kept with the digest of everything it depends on. An interrupted run finds its units
again; a run with a new or mended video takes the units of all other videos over from the artifact
that is there, as hard links.
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
from schemas.parquet import TableWriter, write_table
from schemas.receipts import canonical_json
from schemas.tables import TableSpec

_UNITS = "units"
_KEEP = "keep"
_MARK = b"tgl.unit"


class Workspace:
    """Where a stage writes.

    Args:
        path: the folder that becomes the artifact.
        identity: stage, version and config; part of every unit's key.
        receipt: what is being made, and with which settings, for the footer of every table.
        previous: the artifact that is there now and scratch folders of interrupted runs, whose
            finished units may be taken over.
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
        """Folders whose finished units may be taken over."""
        return self._previous

    @property
    def keep(self) -> Path:
        """A folder for the state of an interrupted run; it is not part of the artifact."""
        folder = self.path / ENGINE_FOLDER / _KEEP
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write_table(self, name: str, table: pa.Table, spec: TableSpec) -> None:
        """Write a table of the artifact; its footer says what made it.

        Raises:
            SchemaMismatch: the rows break the promise of `spec`.
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
        """As :meth:`write_table`, for rows that come in pieces; see :class:`TableWriter`."""
        return TableWriter(
            self.path / name,
            spec,
            receipt=self._receipt,
            row_group_rows=row_group_rows,
            dictionary=dictionary,
            statistics=statistics,
        )

    def finished(self, name: str, key: str) -> pa.Table | None:
        """The rows of a unit that is done, or None if it must be worked.

        Args:
            name: of the unit, unique in the artifact.
            key: digest of the unit's own inputs.
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

    def keep_previous(self, name: str) -> pa.Table | None:
        """Take a unit over as an earlier run left it, whatever its inputs were then.

        For a unit that fails now: what was good stays under its former key, so that the next run
        works the unit again.

        Returns:
            its rows; None where no earlier run finished it or its files were changed since.
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
        """Files of another folder as hard links in this one."""
        for relative in files:
            _link(folder / relative, self.path / relative)
        return [self.path / relative for relative in files]

    def finish(self, name: str, key: str, rows: pa.Table, files: Sequence[Path] = ()) -> None:
        """Mark a unit as done.

        Args:
            rows: what the stage will need of it at the end (any schema).
            files: what it wrote below `path`; checked by size when the unit is found again.
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
        """Forget that a unit is done; its files are the caller's to remove."""
        self._mark(self.path, name).unlink(missing_ok=True)

    def discard_all(self) -> None:
        """Forget all units, as where their inputs were replaced while they were worked."""
        remove_tree(self._units)
        self._units.mkdir()

    def drop_if_useless(self) -> None:
        """Leave no folder behind in which the next run would find nothing finished."""
        with contextlib.suppress(OSError):  # a thread that was not waited for may still write
            if not holds_units(self.path):
                remove_tree(self.path)

    def close(self) -> None:
        """Drop what is not part of the artifact, before it is published."""
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
    """Whether a scratch folder holds something that a later run can go on from."""
    state = (folder / ENGINE_FOLDER / name for name in (_UNITS, _KEEP))
    return any(part.is_dir() and any(part.iterdir()) for part in state)


def _read_unit(mark: Path, digest: str | None, root: Path) -> tuple[pa.Table, list[str]] | None:
    """Rows and files of a unit; None if it is absent, damaged, or of another digest.

    Args:
        digest: that it must have; None takes any.
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
