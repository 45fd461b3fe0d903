"""Remarks on expressions that figures alone do not tell: nothing found, no moment predicted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from schemas.vocabulary import BEST_FRAME

NOTHING_FOUND = "nothing found"
Key = tuple[str, str]


def remark(row: Mapping[str, Any], unpredicted: frozenset[Key]) -> str:
    """The remark on a row of the scores table; empty where there is none.

    Args:
        unpredicted: see :func:`read_unpredicted`.
    """
    if not (row["predicted_frames"] or row["fault_frames"]):
        return NOTHING_FOUND
    return BEST_FRAME if (row["video_id"], row["expression_id"]) in unpredicted else ""


def read_unpredicted(preds: Path) -> frozenset[Key]:
    """Expressions for which no moment was predicted, so that the best frame stands in."""
    path = preds / PROPAGATION_TABLE
    if not os.path.lexists(path):
        return frozenset()
    names = ["video_id", "expression_id", "route"]
    table = read_table(path, PROPAGATION, columns=names)
    table = table.filter(pc.equal(table["route"], BEST_FRAME))
    return frozenset(zip(*(table[name].to_pylist() for name in names[:2]), strict=True))
