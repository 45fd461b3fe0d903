"""The artifact of an annotator: moments and annotations tables, written while the work goes on.

The tables lie beside the log, which is never moved: each is replaced on its own, the receipt last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.directories import list_folder
from schemas.layouts import ANNOTATIONS_TABLE, EXPRESSIONS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import rows_of, write_table
from schemas.receipts import Receipt, fingerprint, origin_text, write_receipt
from schemas.tables import ANNOTATIONS, MOMENTS
from stages.core.datasets.moment_rows import MomentRow, moment_counts, moments_table
from stages.core.engine.digest import file_digest
from stages.core.engine.version import TGL_VERSION
from stages.core.index.index import Expression
from stages.core.media.spans import NEVER
from stages.tools.annotate.marks import History, Lane
from stages.tools.annotate.records import Sentences, lanes_of

STAGE_NAME = "annotate"
_VERSION = 1
_INDEX_TABLES = (VIDEOS_TABLE, EXPRESSIONS_TABLE)


def index_digests(folder: Path) -> dict[str, str]:
    """Digests of the tables that annotations depend on."""
    return {name: file_digest(folder / name) for name in _INDEX_TABLES}


def write_artifact(
    folder: Path,
    sentences: Sentences,
    histories: Sequence[History],
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> dict[str, int | float]:
    """Write the tables and the receipt; returns counts.

    Args:
        histories: of each sentence, by number.
        config: the annotator's name.
        inputs: digests of the index's tables.
    """
    pairs = list(zip(sentences.all, histories, strict=True))
    moments = moments_table(
        row for pair in pairs if pair[1].now.exported for row in _moments(*pair)
    )
    annotations = [_annotation(*pair, config["annotator"]) for pair in pairs]
    origin = origin_text(STAGE_NAME, _VERSION, config, TGL_VERSION)
    write_table(
        folder / ANNOTATIONS_TABLE, rows_of(annotations, ANNOTATIONS), ANNOTATIONS, receipt=origin
    )
    write_table(folder / MOMENTS_TABLE, moments, MOMENTS, receipt=origin)
    counts = _counts([history for _, history in pairs]) | moment_counts(
        moments["end_frame"].to_pylist()
    )
    receipt = Receipt(
        stage=STAGE_NAME,
        stage_version=_VERSION,
        config=config,
        inputs=inputs,
        fingerprint=fingerprint(STAGE_NAME, _VERSION, config, inputs),
        counts=counts,
        outputs=list_folder(folder),
        tgl=TGL_VERSION,
    )
    write_receipt(folder, receipt)
    return counts


def _moments(expression: Expression, history: History) -> Iterator[MomentRow]:
    for anno_id, lane in zip(lanes_of(expression), history.now.lanes, strict=True):
        for start, end in () if lane is None else lane.spans or [NEVER]:
            yield MomentRow(*expression.key, anno_id, start, end)


def _annotation(expression: Expression, history: History, annotator: str) -> dict[str, Any]:
    marks = history.now
    lanes = list(zip(lanes_of(expression), marks.lanes, strict=True))
    return {
        "video_id": expression.video_id,
        "expression_id": expression.expression_id,
        "annotator": annotator,
        "status": marks.status,
        "flag": marks.flag,
        "note": marks.note or None,
        "seconds": history.seconds,
        "actions": history.revision,
        "never": [anno for anno, lane in lanes if anno is not None and _is_never(lane)],
        "sources": ["" if lane is None else lane.source for _, lane in lanes],
    }


def _is_never(lane: Lane | None) -> bool:
    return lane is not None and not lane.spans


def _counts(histories: Sequence[History]) -> dict[str, int | float]:
    done = [history.now for history in histories if history.now.status == "done"]
    flagged = sum(history.now.flag for history in histories)
    exported = sum(marks.exported for marks in done)
    return {
        "sentences": len(histories),
        "sentences done": len(done),
        "sentences flagged": flagged,
        "sentences exported": exported,
    }
