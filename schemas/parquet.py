"""Reading and writing the tables of :mod:`schemas.tables` as Parquet, validated on both sides.

The footer carries the table's name, its version and the receipt of the run that made it. A foreign
file without that metadata is accepted if its columns fit, so that any stage can be replaced.

Checksums of pages are verified on reading. A file of ours is also sealed (schemas/seal.py): its
footer is compared whenever the table is opened, its pages when it is read or digested as a whole.
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
from schemas.errors import SchemaMismatch
from schemas.files import open_regular
from schemas.seal import checked_pages, damaged, digest_pages, seal_file, split_file
from schemas.tables import TableSpec
from schemas.wording import amount

TABLE_KEY = b"tgl.table"
VERSION_KEY = b"tgl.version"
RECEIPT_KEY = b"tgl.receipt"
COMPRESSION = "zstd"
_READ_ERRORS = (pa.ArrowException, OSError, ValueError)
"""Errors of pyarrow for damaged files; ValueError for a name or a text that is not UTF-8."""


def write_table(
    path: Path, table: pa.Table, spec: TableSpec, *, receipt: str | None = None
) -> None:
    """Validate `table` against `spec` and write it under a temporary name, then move it.

    Raises:
        SchemaMismatch: columns, types, nulls or the key do not conform to `spec`.
    """
    with TableWriter(path, spec, receipt=receipt) as writer:
        writer.write(validate(table, spec, where=path))


class TableWriter:
    """Writes a table in pieces; the file appears only if all are written.

    Args:
        row_group_rows: rows per row group; small groups make random reads cheap.
        dictionary, statistics: columns that have them; statistics of a binary column repeat its
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
            write_page_checksum=True,
        )

    def write(self, table: pa.Table) -> None:
        """Append rows; `table` has the columns of the spec in order."""
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
            seal_file(self._temporary)
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
    """Read the rows of a table, cast to the types of `spec`.

    Args:
        columns: only these; the key is checked only if all its columns are among them.

    Raises:
        MissingInput: no such file.
        CorruptInput: truncated or not Parquet.
        SchemaMismatch: another table, version, column type, a null or a repeated key.
    """
    check_pages(path, spec)
    with open_parquet(path, spec) as file:
        present = set(file.schema_arrow.names)
        wanted = list(columns) if columns is not None else spec.schema.names
        try:
            table = file.read(columns=[name for name in wanted if name in present])
            table.validate(full=True)
        except _READ_ERRORS as error:
            raise damaged(path, error) from error
    return validate(table, spec, where=path, columns=wanted, check_key=check_key)


def open_parquet(path: Path, spec: TableSpec) -> pq.ParquetFile:
    """Open a Parquet file and check its footer against `spec`; the caller closes it.

    Raises:
        TglError: as :func:`read_table`.
    """
    with _opened(path, spec) as raw:
        split_file(raw, path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except _READ_ERRORS as error:
        raise damaged(path, error) from error
    try:
        schema = file.schema_arrow
        _check_footer(schema.metadata or {}, spec, path)
        _check_columns(schema.names, spec, path)
    except SchemaMismatch:
        file.close()
        raise
    except _READ_ERRORS as error:
        file.close()
        raise damaged(path, error) from error
    return file


def table_name(path: Path) -> str | None:
    """The name of the table in a Parquet file's footer, None for a foreign file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a whole Parquet file.
    """
    name = _metadata(path).get(TABLE_KEY)
    return None if name is None else name.decode("utf-8", "replace")


def read_receipt(path: Path) -> str | None:
    """The receipt in the footer of a Parquet file, None if it has none.

    Raises:
        TglError: as :func:`table_name`.
    """
    text = _metadata(path).get(RECEIPT_KEY)
    return None if text is None else text.decode("utf-8", "replace")


def _metadata(path: Path) -> Mapping[bytes, bytes]:
    """Keys and values of a footer."""
    with open_regular(path) as raw:
        split_file(raw, path)
    try:
        return pq.read_schema(path).metadata or {}
    except _READ_ERRORS as error:
        raise damaged(path, error) from error


def content_digest(path: Path) -> str:
    """Hex SHA-256 of a table's rows and columns, without the receipt in its footer.

    A table that is recomputed with the same content keeps its digest, and artifacts made from it
    stay up to date. For a file without a receipt it is the digest of the file.

    Raises:
        MissingInput: no such file.
        CorruptInput: pages or footer are not as they were written.
    """
    with open_regular(path) as file:
        parts = split_file(file, path)
        if RECEIPT_KEY not in parts.footer:
            return sha256_file(path)
        try:
            schema = pq.read_schema(path)
        except _READ_ERRORS:
            return sha256_file(path)  # its readers will report what is wrong
        own = {k: v for k, v in (schema.metadata or {}).items() if k != RECEIPT_KEY}
        about = f"{schema.remove_metadata()}\0{sorted(own.items())}\0".encode()
        if parts.pages is None:
            return digest_pages(file, parts.size, hashlib.sha256(about)).hex()
        return hashlib.sha256(about + checked_pages(file, parts, path)).hexdigest()


def check_pages(path: Path, spec: TableSpec) -> None:
    """Compare all pages of a table with its seal, if it has one.

    Raises:
        MissingInput: no such file.
        CorruptInput: pages or footer are not as they were written.
    """
    with _opened(path, spec) as file:
        parts = split_file(file, path)
        if parts.pages is not None:
            checked_pages(file, parts, path)


def _opened(path: Path, spec: TableSpec) -> BinaryIO:
    return open_regular(
        path,
        missing=f"the {spec.name} table is missing",
        hint=f"make it with {spec.rebuild}",
    )


def validate(
    table: pa.Table,
    spec: TableSpec,
    *,
    where: object,
    columns: Sequence[str] | None = None,
    check_key: bool = True,
) -> pa.Table:
    """Return the columns of `spec` (or those named) of `table`, cast and checked for nulls.

    Raises:
        SchemaMismatch: naming the column and the first wrong row.
    """
    names = list(columns) if columns is not None else spec.schema.names
    arrays = [_column(table, spec.schema.field(name), spec, where) for name in names]
    fields = [spec.schema.field(name) for name in names]
    result = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    if check_key and spec.key and set(spec.key) <= set(names):
        _check_key(result, spec, where)
    return result


def concatenate(tables: Iterable[pa.Table], spec: TableSpec) -> pa.Table:
    """Concatenate tables; an empty table of `spec` without any."""
    parts = list(tables)
    return pa.concat_tables(parts) if parts else spec.schema.empty_table()


def rows_of(records: Iterable[Mapping[str, object]], spec: TableSpec) -> pa.Table:
    """Make a table of `spec` from dictionaries; missing nullable columns become null."""
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
        raise SchemaMismatch(f"column {wanted.name} has a null inside a list", where=where)
    return array


def _check_key(table: pa.Table, spec: TableSpec, where: object) -> None:
    counts = table.select(list(spec.key)).group_by(list(spec.key)).aggregate([([], "count_all")])
    if counts.num_rows == table.num_rows:
        return
    repeated = counts.filter(pc.greater(counts["count_all"], 1)).select(list(spec.key))
    first = ", ".join(f"{k}={v}" for k, v in repeated.slice(0, 1).to_pylist()[0].items())
    raise SchemaMismatch(
        f"{amount(repeated.num_rows, 'keys')} of the {spec.name} table repeated, first {first}",
        where=where,
    )


def _check_footer(metadata: Mapping[bytes, bytes], spec: TableSpec, path: Path) -> None:
    name = metadata.get(TABLE_KEY)
    if name is not None and name.decode() != spec.name:
        raise SchemaMismatch(f"is the table {name.decode()}, expected {spec.name}", where=path)
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
