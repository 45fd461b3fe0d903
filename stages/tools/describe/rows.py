"""The table of agreement per sentence, as Parquet or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.csv as pc

from schemas.errors import ConfigError
from schemas.parquet import rows_of, write_table
from schemas.tables import AGREEMENT
from stages.core.index.index import Index
from stages.tools.describe.agreement import THRESHOLDS, PairAgreement
from stages.tools.describe.moment_sets import Key

CSV, PARQUET = SUFFIXES = (".csv", ".parquet")
_COLUMNS = {f"f1@{limit}": f"f1_{round(100 * limit)}" for limit in THRESHOLDS}
BOTH, ONE, OTHER = ("both", "one", "other")


def check_suffix(path: Path) -> None:
    """Check the name of the table before any work is done.

    Raises:
        ConfigError: it is neither a CSV nor a Parquet file.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{str(path)!r} does not end in {' or '.join(SUFFIXES)}", where="--table")


def write_agreement(path: Path, index: Index, pairs: Sequence[PairAgreement]) -> None:
    """Write a row per pair of sets and sentence that either of them judges."""
    table = rows_of(_rows(index, pairs), AGREEMENT)
    if path.suffix == CSV:
        pc.write_csv(table, path)
    else:
        write_table(path, table, AGREEMENT)


def _rows(index: Index, pairs: Iterable[PairAgreement]) -> Iterator[dict[str, Any]]:
    texts = {expression.key: expression.text for expression in index.expressions}
    for pair in pairs:
        for sentence in pair.sentences:
            yield {
                **_names(pair, sentence.key, texts, BOTH),
                "by_referent": sentence.by_referent,
                "lanes": sentence.lanes,
                "frames": int(sentence.table.sum()),
                "spans_of_one": sentence.spans[0],
                "spans_of_other": sentence.spans[1],
                "matched_spans": len(sentence.tious),
                **{_COLUMNS.get(name, name): value for name, value in sentence.figures.items()},
            }
        for word, keys in ((ONE, pair.only_one), (OTHER, pair.only_other)):
            for key in keys:
                yield _names(pair, key, texts, word)


def _names(pair: PairAgreement, key: Key, texts: dict[Key, str], judged: str) -> dict[str, Any]:
    return {
        "one": pair.one,
        "other": pair.other,
        "video_id": key[0],
        "expression_id": key[1],
        "expression": texts[key],
        "judged_by": judged,
    }
