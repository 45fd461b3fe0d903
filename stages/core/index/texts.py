"""Token embeddings of sentences, read from texts.parquet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import TEXTS_TABLE
from schemas.parquet import read_table, table_name
from schemas.tables import TEXTS, TEXTS_BF16
from schemas.wording import amount
from stages.core.index.bfloat16 import from_bfloat16

MAPPED_SUFFIX = ".arrow"
"""Of files that :meth:`TextStore.write_mapped` writes."""


@dataclass(frozen=True)
class TextEmbedding:
    """The embedding of a sentence.

    Attributes:
        tokens: L strings.
        embeddings: float32 (L, D), one row per token.
        pooled: float32 (D,), the whole sentence.
        motion: bool (L,), true for tokens of motion words.
    """

    tokens: tuple[str, ...]
    embeddings: np.ndarray
    pooled: np.ndarray
    motion: np.ndarray


class TextStore:
    """Embeddings by sentence."""

    def __init__(self, path: Path, table: pa.Table, rows: dict[str, int], dim: int):
        self._path = path
        self._table = table
        self._rows = rows
        self.dim = dim

    @classmethod
    def open(cls, path: Path) -> TextStore:
        """Open the texts of a folder, or a file of :meth:`write_mapped`.

        Raises:
            MissingInput: it does not exist.
            CorruptInput: it is empty, or its rows differ in width.
        """
        if path.suffix == MAPPED_SUFFIX:
            return cls._of(path, _read_mapped(path))
        return cls._of(path / TEXTS_TABLE, read_texts(path / TEXTS_TABLE))

    @classmethod
    def _of(cls, path: Path, table: pa.Table) -> TextStore:
        dims = pc.unique(table.column("dim")).to_pylist()
        if len(dims) != 1:
            found = ", ".join(map(str, sorted(dims))) or "no rows"
            raise CorruptInput(f"embeddings need one width, found {found}", where=path)
        rows = {text: row for row, text in enumerate(table.column("expression").to_pylist())}
        return cls(path, table, rows, dims[0])

    def write_mapped(self, path: Path) -> None:
        """Write the texts under a temporary name, then move them, for processes that share them.

        A process that opens this file maps it into its memory: however many do, it is there once.

        Args:
            path: with `MAPPED_SUFFIX`.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, self._table.schema) as file,
        ):
            file.write_table(self._table)
        temporary.replace(path)

    @property
    def nbytes(self) -> int:
        """Bytes of the table, which is in memory."""
        return int(self._table.nbytes)

    def __contains__(self, expression: str) -> bool:
        return expression in self._rows

    def require(self, expressions: Iterable[str]) -> None:
        """Check that all sentences were encoded.

        Raises:
            MissingInput: one was not.
        """
        sentences = set(expressions)
        absent = sorted(sentence for sentence in sentences if sentence not in self)
        if absent:
            raise MissingInput(
                f"no embedding of {len(absent):,} of {amount(len(sentences), 'sentences')}, first "
                f"{absent[0]!r}",
                where=self._path,
                hint="run tgl precompute-text on this index",
            )

    def get(self, expression: str) -> TextEmbedding:
        """The embedding of a sentence, spelled exactly as in the index.

        Raises:
            MissingInput: the sentence was not encoded.
            CorruptInput: the row's lengths contradict each other.
        """
        row = self._rows.get(expression)
        if row is None:
            raise MissingInput(
                f"no embedding of {expression!r}",
                where=self._path,
                hint="run tgl precompute-text on this index",
            )
        tokens = tuple(self._table.column("tokens")[row].as_py())
        flat = self._floats("embeddings", row)
        pooled = self._floats("pooled", row)
        motion = np.array(self._table.column("motion")[row].as_py(), dtype=bool)
        length = len(tokens)
        if flat.size != length * self.dim or pooled.size != self.dim or motion.size != length:
            raise CorruptInput(
                f"the row of {expression!r} has {flat.size} numbers for {length} tokens of "
                f"width {self.dim}",
                where=self._path,
            )
        return TextEmbedding(tokens, flat.reshape(length, self.dim), pooled, motion)

    def _floats(self, column: str, row: int) -> np.ndarray:
        values = self._table.column(column)[row].values.to_numpy(zero_copy_only=False)
        return from_bfloat16(values) if values.dtype == np.uint16 else values.astype(np.float32)


def _read_mapped(path: Path) -> pa.Table:
    """The rows of a mapped file, which stay on disk until they are looked at."""
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()
    except FileNotFoundError as error:
        raise MissingInput("no such texts", where=path) from error
    except pa.ArrowException as error:
        raise CorruptInput(f"cannot be read ({str(error).splitlines()[0]})", where=path) from error


def read_texts(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read texts.parquet in either of its two number formats.

    Raises:
        TglError: as :func:`schemas.parquet.read_table`.
    """
    bfloat16 = path.exists() and table_name(path) == TEXTS_BF16.name
    return read_table(path, TEXTS_BF16 if bfloat16 else TEXTS, columns=columns)
