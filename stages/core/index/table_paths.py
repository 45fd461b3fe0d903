"""The table that a path on the command line names."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import MissingInput, SchemaMismatch
from schemas.layouts import looks_like_parquet


def named_table(path: Path, file_name: str, *, kind: str, made_by: str, other: str) -> Path:
    """Return the table that a path names: the file, or the one in an artifact.

    Args:
        file_name: of the table in an artifact.
        kind: of table, such as `moments`.
        made_by: the command whose OUT has the table.
        other: the hint for a file in another format.

    Raises:
        MissingInput: no such file, or a folder without one.
        SchemaMismatch: not a Parquet file.
    """
    hint = f"name OUT of {made_by}"
    if path.is_dir():
        if not (path / file_name).is_file():
            raise MissingInput(f"has no {file_name}", where=path, hint=hint)
        return path / file_name
    if not path.is_file():
        raise MissingInput("no such file", where=path, hint=hint)
    if not looks_like_parquet(path):
        raise SchemaMismatch(f"is not a {kind} table (Parquet)", where=path, hint=other)
    return path
