"""The finished sentences of a run: a unit of work is one sentence of one video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import TglError
from schemas.parquet import concatenate
from schemas.receipts import canonical_json
from schemas.tables import MOMENTS, OBJECTS, PROPAGATION, TableSpec
from stages.core.engine.digest import text_digest
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Expression
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.texts import TextStore
from stages.propagate.jobs import Job
from stages.propagate.tracks.given import GivenTracks

TRACK_TABLES = (OBJECTS, MOMENTS)
"""Further tables where masks are made of tracks."""


@dataclass(frozen=True)
class FinishedUnits:
    """Finished sentences in a workspace, which several processes may share.

    Attributes:
        out: the workspace.
        keys: digests of what the masks of each sentence depend on beside the config.
        together: the masks of a sentence depend on all sentences of its video, and each has rows
            of the tables of tracks.
    """

    out: Workspace
    keys: Mapping[tuple[str, str], str]
    together: bool = False

    def only(self, job: Job) -> FinishedUnits:
        """The same for the sentences of one video."""
        return replace(self, keys={one.key: self.keys[one.key] for one in job.expressions})

    def missing(self, job: Job) -> list[int]:
        """The sentences of a video that are to be segmented: all or none, if together."""
        rows = [row for row, found in enumerate(self.rows(job)) if found is None]
        return list(range(len(job.expressions))) if rows and self.together else rows

    def rows(self, job: Job) -> list[pa.Table | None]:
        """The rows of each sentence of a video; None for those that are not finished."""
        return [self._rows(expression) for expression in job.expressions]

    def _rows(self, expression: Expression) -> pa.Table | None:
        key = self.keys[expression.key]
        if self.together and any(
            self.out.finished(_table_unit(expression, spec), key) is None for spec in TRACK_TABLES
        ):
            return None
        return self.out.finished(_unit(expression), key)

    def table(self, job: Job, spec: TableSpec) -> list[pa.Table | None]:
        """Rows of a table of tracks by sentence of a video; None where they are not finished."""
        return [
            self.out.finished(_table_unit(expression, spec), self.keys[expression.key])
            for expression in job.expressions
        ]

    def add(self, expression: Expression, rows: pa.Table, writer: MaskWriter) -> None:
        """Mark a sentence whose masks are on disk."""
        files = writer.take_files(expression)
        for spec in TRACK_TABLES:
            found = writer.take_rows(expression, spec.name)
            if found is not None:
                self.out.finish(_table_unit(expression, spec), self.keys[expression.key], found)
        self.out.finish(_unit(expression), self.keys[expression.key], rows, files)

    def discard(self, job: Job) -> None:
        """Remove everything of a video."""
        for expression in job.expressions:
            self.out.discard(_unit(expression))
            for spec in TRACK_TABLES:
                self.out.discard(_table_unit(expression, spec))
        remove_tree(self.out.path / job.video.video_id)


def sentence_keys(
    job: Job, texts: TextStore, weights: str, *, together: bool, given: GivenTracks | None
) -> dict[tuple[str, str], str]:
    """Compute digests of everything that each sentence's masks depend on beside the config.

    Args:
        job: a video.
        texts: embeddings of the sentences.
        weights: digest of the checkpoint.
        together: see :class:`FinishedUnits`.
        given: tracks that the masks are made of.
    """
    keys = {}
    video = [job.video.video_id, job.video.height, job.video.width, frames_digest(job.video)]
    for expression, known in zip(job.expressions, job.known, strict=True):
        spans = None if known is None else known.tobytes().hex()
        about = [expression.expression_id, expression.text, bool(expression.anno_ids), spans]
        text = _text_digest(texts, expression.text)
        keys[expression.key] = text_digest(canonical_json([weights, video, about, text]))
    if together:
        tracks = None if given is None else given.digest(job.video)
        whole = [tracks, *keys.values()]
        keys = {name: text_digest(canonical_json([own, whole])) for name, own in keys.items()}
    return keys


def rows_by_expression(rows: pa.Table) -> dict[str, pa.Table]:
    """Split rows of some sentences, which stand one sentence after another."""
    parts, start = {}, 0
    for name, group in groupby(rows.column("expression_id").to_pylist()):
        length = sum(1 for _ in group)
        parts[name] = rows.slice(start, length)
        start += length
    return parts


def finished_rows(jobs: Sequence[Job], finished: FinishedUnits) -> Iterator[pa.Table]:
    """The rows of every video, in the order of the jobs.

    Raises:
        TglError: a finished sentence is missing.
    """
    for job in jobs:
        yield concatenate(list(_all_of(job, finished.rows(job), finished)), PROPAGATION)


def finished_table(spec: TableSpec, jobs: Sequence[Job], finished: FinishedUnits) -> pa.Table:
    """The rows of a table of tracks of every video, in the order of the jobs.

    Raises:
        TglError: a finished sentence is missing.
    """
    parts = [spec.schema.empty_table()]
    for job in jobs:
        parts += _all_of(job, finished.table(job, spec), finished)
    return concatenate(parts, spec).combine_chunks()


def _all_of(
    job: Job, parts: Sequence[pa.Table | None], finished: FinishedUnits
) -> Iterator[pa.Table]:
    for expression, rows in zip(job.expressions, parts, strict=True):
        if rows is None:
            raise finished.out.lost(
                f"the masks of video {job.video.video_id}, expression {expression.expression_id}"
            )
        yield rows


def _unit(expression: Expression) -> str:
    return f"{expression.video_id}/{expression.expression_id}"


def _table_unit(expression: Expression, spec: TableSpec) -> str:
    return f"{_unit(expression)}/{spec.name}"


def _text_digest(texts: TextStore, sentence: str) -> str:
    try:
        found = texts.get(sentence)
    except TglError:
        return "missing"
    return text_digest((found.embeddings.tobytes() + found.pooled.tobytes()).hex())
