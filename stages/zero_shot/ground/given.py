"""Candidates made elsewhere: a candidates table, or results in the form of COCO."""

from __future__ import annotations

from pathlib import Path

from schemas.layouts import looks_like_parquet
from stages.core.index.candidates import Candidates, fit_candidates, read_candidates
from stages.core.index.index import Index
from stages.zero_shot.ground.coco import read_coco


def read_given(path: Path, index: Index) -> Candidates:
    """Read a candidates table (Parquet) or COCO results (JSON).

    Raises:
        MissingInput: no such file.
        CorruptInput: it is damaged, or a row does not fit the index.
        SchemaMismatch: a table with other columns.
    """
    if path.is_file() and not looks_like_parquet(path):
        return fit_candidates(read_coco(path, index), index, where=path)
    return read_candidates(path, index)
