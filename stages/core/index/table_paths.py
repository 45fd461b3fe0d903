"""The table that a path on the command line names."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigError, MissingInput, SchemaMismatch
from schemas.layouts import ANNOTATION_LOG, MOMENTS_TABLE, looks_like_parquet
from schemas.wording import listing


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


def moments_folder(path: Path) -> Path:
    """Return the folder of the only annotator in OUT of tgl annotate; `path` if it is none.

    Raises:
        ConfigError: several people annotated.
    """
    if not path.is_dir() or (path / MOMENTS_TABLE).is_file():
        return path
    found = sorted(folder for folder in path.iterdir() if (folder / ANNOTATION_LOG).is_file())
    if len(found) > 1:
        names = [folder.name for folder in found]
        raise ConfigError(
            f"has the moments of {listing(names, 'annotators')}",
            where=path,
            hint=f"name one of them, such as {found[0]}",
        )
    return found[0] if found else path


def moments_file(path: Path) -> Path:
    """Return the moments table that a path names; raises as :func:`named_table`."""
    return named_table(
        moments_folder(path),
        MOMENTS_TABLE,
        kind="moments",
        made_by="tgl select-moments or tgl annotate",
        other="tgl build-moments reads other formats",
    )
