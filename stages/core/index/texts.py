"""Token embeddings of sentences, read from texts.parquet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import TEXTS_TABLE
from schemas.parquet import read_table, table_name
from schemas.tables import TEXTS, TEXTS_BF16
from schemas.wording import amount
from stages.core.index.bfloat16 import from_bfloat16


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
    def open(cls, folder: Path) -> TextStore:
        """Open `folder/texts.parquet`.

        Raises:
            MissingInput: it does not exist.
            CorruptInput: it is empty, or its rows differ in width.
        """
        path = folder / TEXTS_TABLE
        table = read_texts(path)
        dims = set(table.column("dim").to_pylist())
        if len(dims) != 1:
            found = ", ".join(map(str, sorted(dims))) or "no rows"
            raise CorruptInput(f"embeddings need one width, found {found}", where=path)
        rows = {text: row for row, text in enumerate(table.column("expression").to_pylist())}
        return cls(path, table, rows, dims.pop())

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


def read_texts(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read texts.parquet in either of its two number formats.

    Raises:
        TglError: as :func:`schemas.parquet.read_table`.
    """
    bfloat16 = path.exists() and table_name(path) == TEXTS_BF16.name
    return read_table(path, TEXTS_BF16 if bfloat16 else TEXTS, columns=columns)
