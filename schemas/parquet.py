"""Reading and writing the tables of :mod:`schemas.tables` as Parquet, validated on both sides.

The footer carries the table's name, its version and the receipt of the run that made it. A foreign
file without that metadata is accepted if its columns fit, so that any stage can be replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.directories import sha256_file
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from schemas.tables import TableSpec

TABLE_KEY = b"tgl.table"
VERSION_KEY = b"tgl.version"
RECEIPT_KEY = b"tgl.receipt"
COMPRESSION = "zstd"
_MAGIC = b"PAR1"
_LENGTH_BYTES = 4
"""A Parquet file ends with its footer, the footer's length (little-endian) and the magic bytes."""
_BLOCK_BYTES = 1 << 20


def write_table(
    path: Path, table: pa.Table, spec: TableSpec, *, receipt: str | None = None
) -> None:
    """Validate `table` against `spec` and write it under a temporary name, then move it.

    Raises:
        SchemaMismatch: columns, types, nulls or the key break the promise of `spec`.
    """
    with TableWriter(path, spec, receipt=receipt) as writer:
        writer.write(validate(table, spec, where=path))


class TableWriter:
    """Writes a table in pieces; the file appears under its name only when all went well.

    Args:
        row_group_rows: rows per row group; small groups make random reads cheap.
        dictionary, statistics: columns that get them; a binary column's statistics repeat its
            least and largest value in the footer.
    """

    def __init__(
        self,
        path: Path,
        spec: TableSpec,
        *,
        receipt: str | None = None,
        row_group_rows: int | None = None,
        dictionary: bool | list[str] = True,
        statistics: bool | list[str] = True,
    ):
        self._path = path
        self._temporary = path.with_name(f".{path.name}.partial")
        self._spec = spec
        self._row_group_rows = row_group_rows
        metadata = {TABLE_KEY: spec.name.encode(), VERSION_KEY: str(spec.version).encode()}
        if receipt is not None:
            metadata[RECEIPT_KEY] = receipt.encode()
        self._writer = pq.ParquetWriter(
            self._temporary,
            spec.schema.with_metadata(metadata),
            compression=COMPRESSION,
            use_dictionary=dictionary,
            write_statistics=statistics,
        )

    def write(self, table: pa.Table) -> None:
        """Append rows; `table` has the columns of the spec in its order."""
        self._writer.write_table(table.cast(self._spec.schema), row_group_size=self._row_group_rows)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def read_table(
    path: Path,
    spec: TableSpec,
    *,
    columns: Sequence[str] | None = None,
    check_key: bool = True,
) -> pa.Table:
    """The rows of a table, cast to the types of `spec`.

    Args:
        columns: only these; the key is checked only if all its columns are among them.

    Raises:
        MissingInput: no such file.
        CorruptInput: truncated or not Parquet.
        SchemaMismatch: another table, version, column type, a null or a repeated key.
    """
    with open_parquet(path, spec) as file:
        present = set(file.schema_arrow.names)
        wanted = list(columns) if columns is not None else spec.schema.names
        try:
            table = file.read(columns=[name for name in wanted if name in present])
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    return validate(table, spec, where=path, columns=wanted, check_key=check_key)


def open_parquet(path: Path, spec: TableSpec) -> pq.ParquetFile:
    """Open a Parquet file whose footer fits `spec`; the caller closes it."""
    if not path.is_file():
        raise MissingInput(
            f"the {spec.name} table is not there", where=path, hint=f"make it with {spec.rebuild}"
        )
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    try:
        _check_footer(file.schema_arrow.metadata or {}, spec, path)
        _check_columns(file.schema_arrow.names, spec, path)
    except SchemaMismatch:
        file.close()
        raise
    return file


def table_name(path: Path) -> str | None:
    """The table that a Parquet file's footer names, None for a foreign file.

    Raises:
        CorruptInput: not a whole Parquet file.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    name = metadata.get(TABLE_KEY)
    return None if name is None else name.decode("utf-8", "replace")


def read_receipt(path: Path) -> str | None:
    """The receipt in the footer of any Parquet file, None where there is none."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    text = metadata.get(RECEIPT_KEY)
    return None if text is None else text.decode()


def content_digest(path: Path) -> str:
    """Hex SHA-256 of a table's rows and columns, whatever run its footer names.

    Tables that are made anew with the same content keep their digest, and what was made from them
    stays up to date. For a file without a receipt it is the digest of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        footer = _footer_bytes(file, size)
        if RECEIPT_KEY not in footer:
            return sha256_file(path)
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError):
            return sha256_file(path)  # whoever reads it will say what is wrong
        own = {k: v for k, v in (schema.metadata or {}).items() if k != RECEIPT_KEY}
        digest = hashlib.sha256(f"{schema.remove_metadata()}\0{sorted(own.items())}\0".encode())
        left = size - len(footer) - _LENGTH_BYTES - len(_MAGIC)
        file.seek(0)
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _footer_bytes(file: BinaryIO, size: int) -> bytes:
    """The footer of a Parquet file, empty where there is none."""
    tail = _LENGTH_BYTES + len(_MAGIC)
    if size < tail:
        return b""
    file.seek(size - tail)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if file.read() != _MAGIC or length > size - tail:
        return b""
    file.seek(size - tail - length)
    return file.read(length)


def validate(
    table: pa.Table,
    spec: TableSpec,
    *,
    where: object,
    columns: Sequence[str] | None = None,
    check_key: bool = True,
) -> pa.Table:
    """`table` with the columns (or those named) of `spec`, cast, without forbidden nulls.

    Raises:
        SchemaMismatch: naming the column, and the first row that is wrong.
    """
    names = list(columns) if columns is not None else spec.schema.names
    arrays = [_column(table, spec.schema.field(name), spec, where) for name in names]
    fields = [spec.schema.field(name) for name in names]
    result = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    if check_key and spec.key and set(spec.key) <= set(names):
        _check_key(result, spec, where)
    return result


def concatenate(tables: Iterable[pa.Table], spec: TableSpec) -> pa.Table:
    """All rows of `tables` in order; an empty table of `spec` when there are none."""
    parts = list(tables)
    return pa.concat_tables(parts) if parts else spec.schema.empty_table()


def rows_of(records: Iterable[Mapping[str, object]], spec: TableSpec) -> pa.Table:
    """A table of `spec` from dictionaries; missing nullable columns become null."""
    return pa.Table.from_pylist(list(records), schema=spec.schema)


def _column(table: pa.Table, wanted: pa.Field, spec: TableSpec, where: object) -> pa.ChunkedArray:
    if wanted.name not in table.column_names:
        if not (wanted.nullable or wanted.name in spec.optional):
            raise SchemaMismatch(f"the {spec.name} table lacks column {wanted.name}", where=where)
        filler = pa.nulls(table.num_rows, wanted.type)
        if wanted.nullable:
            return pa.chunked_array([filler])
        return pa.chunked_array([pc.fill_null(filler, "unknown")])
    array = table.column(wanted.name)
    if array.type != wanted.type:
        try:
            array = array.cast(wanted.type)
        except pa.ArrowException as error:
            raise SchemaMismatch(
                f"column {wanted.name} is {array.type}, expected {wanted.type}", where=where
            ) from error
    if array.null_count and not wanted.nullable:
        row = pc.index(array.is_null(), True).as_py()
        raise SchemaMismatch(f"column {wanted.name} is null in row {row}", where=where)
    if pa.types.is_list(wanted.type) and pc.list_flatten(array).null_count:
        raise SchemaMismatch(f"column {wanted.name} holds a null inside a list", where=where)
    return array


def _check_key(table: pa.Table, spec: TableSpec, where: object) -> None:
    counts = table.select(list(spec.key)).group_by(list(spec.key)).aggregate([([], "count_all")])
    if counts.num_rows == table.num_rows:
        return
    repeated = counts.filter(pc.greater(counts["count_all"], 1)).select(list(spec.key))
    first = ", ".join(f"{k}={v}" for k, v in repeated.slice(0, 1).to_pylist()[0].items())
    raise SchemaMismatch(
        f"{repeated.num_rows} keys of the {spec.name} table stand more than once, first {first}",
        where=where,
    )


def _check_footer(metadata: Mapping[bytes, bytes], spec: TableSpec, path: Path) -> None:
    name = metadata.get(TABLE_KEY)
    if name is not None and name.decode() != spec.name:
        raise SchemaMismatch(f"holds the table {name.decode()}, expected {spec.name}", where=path)
    version = metadata.get(VERSION_KEY)
    if version is not None and version.decode() != str(spec.version):
        raise SchemaMismatch(
            f"{spec.name} table of version {version.decode()}, this tgl reads {spec.version}",
            where=path,
            hint=f"rebuild it with {spec.rebuild}",
        )


def _check_columns(names: Sequence[str], spec: TableSpec, path: Path) -> None:
    missing = [
        column.name
        for column in spec.schema
        if column.name not in names and not column.nullable and column.name not in spec.optional
    ]
    if missing:
        raise SchemaMismatch(f"the {spec.name} table lacks column {', '.join(missing)}", where=path)


def _damaged(path: Path, error: Exception) -> CorruptInput:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    size = path.stat().st_size if path.exists() else 0
    return CorruptInput(
        f"cannot be read as Parquet ({reason}; {size} bytes)",
        where=path,
        hint="copy it again or rebuild it",
    )
