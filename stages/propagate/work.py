"""The work of one process: which videos it takes, and the sentences that are finished.

A unit of work is one sentence of one video. Videos are taken whole, because their sentences share
the encoded frames; in a run of several processes the longest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import TglError
from schemas.parquet import concatenate
from schemas.receipts import canonical_json
from schemas.tables import MOMENTS, OBJECTS, PROPAGATION, TableSpec
from stages.core.engine.digest import text_digest
from stages.core.engine.failures import INPUT_FAILURES
from stages.core.engine.progress import Task
from stages.core.engine.workers.processes import Team
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frames_digest, require_unchanged
from stages.core.index.index import Expression
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.texts import TextStore
from stages.propagate.jobs import Job
from stages.propagate.runner import Runner
from stages.propagate.tracks.given import GivenTracks

TRACK_TABLES = (OBJECTS, MOMENTS)
"""Further tables where masks are made of tracks."""
_NEXT_VIDEO, _SENTENCES = "video", "sentences"


@dataclass
class WorkerStats:
    """Counts of one process.

    Attributes:
        videos: segmented, in part or whole.
        videos_before: finished by earlier runs.
        sentences_before: finished by earlier runs, also of videos that were not whole.
        failures: one line per failed video.
        routes: number of sentences by what routed them.
        tracks: counts of tracks, by name.
    """

    videos: int = 0
    videos_before: int = 0
    sentences_before: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    routes: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return asdict(self)

    @staticmethod
    def sum(parts: Sequence[WorkerStats]) -> WorkerStats:
        """The counts of all processes together."""
        whole = WorkerStats()
        routes: Counter[str] = Counter()
        tracks: Counter[str] = Counter()
        for part in parts:
            whole.videos += part.videos
            whole.videos_before += part.videos_before
            whole.sentences_before += part.sentences_before
            whole.failures |= part.failures
            routes.update(part.routes)
            tracks.update(part.tracks)
        whole.routes, whole.tracks = dict(routes), dict(tracks)
        return whole


class FinishedUnits:
    """Finished sentences in a workspace.

    Args:
        out: the workspace.
        texts: embeddings of the sentences.
        weights: digest of the checkpoint.
        together: the masks of a sentence depend on all sentences of its video, and each has rows
            of the tables of tracks.
        given: tracks that the masks are made of.
    """

    def __init__(
        self,
        out: Workspace,
        texts: TextStore,
        weights: str,
        *,
        together: bool = False,
        given: GivenTracks | None = None,
    ):
        self.out = out
        self.together = together
        self._texts = texts
        self._weights = weights
        self._given = given
        self._keys: dict[tuple[str, str], str] = {}

    def rows(self, job: Job) -> list[pa.Table | None]:
        """The rows of each sentence of a video; None for those that are not finished."""
        if any(expression.key not in self._keys for expression in job.expressions):
            self._add_keys(job)
        return [self._rows(expression) for expression in job.expressions]

    def _rows(self, expression: Expression) -> pa.Table | None:
        key = self._keys[expression.key]
        if self.together and any(
            self.out.finished(_table_unit(expression, spec), key) is None for spec in TRACK_TABLES
        ):
            return None
        return self.out.finished(_unit(expression), key)

    def table(self, job: Job, spec: TableSpec) -> list[pa.Table | None]:
        """Rows of a table of tracks by sentence of a video; None where they are not finished."""
        self.rows(job)
        return [
            self.out.finished(_table_unit(expression, spec), self._keys[expression.key])
            for expression in job.expressions
        ]

    def _add_keys(self, job: Job) -> None:
        """Compute digests of everything that a sentence's masks depend on beside the config."""
        video = [job.video.video_id, job.video.height, job.video.width, frames_digest(job.video)]
        for expression, known in zip(job.expressions, job.known, strict=True):
            spans = None if known is None else known.tobytes().hex()
            about = [expression.expression_id, expression.text, bool(expression.anno_ids), spans]
            text = _text_digest(self._texts, expression.text)
            self._keys[expression.key] = text_digest(
                canonical_json([self._weights, video, about, text])
            )
        if self.together:
            names = [expression.key for expression in job.expressions]
            tracks = None if self._given is None else self._given.digest(job.video)
            whole = [tracks, *(self._keys[name] for name in names)]
            self._keys |= {
                name: text_digest(canonical_json([self._keys[name], whole])) for name in names
            }

    def add(self, expression: Expression, rows: pa.Table, writer: MaskWriter) -> None:
        """Mark a sentence whose masks are on disk; :meth:`rows` was called for its video."""
        files = writer.take_files(expression)
        for spec in TRACK_TABLES:
            found = writer.take_rows(expression, spec.name)
            if found is not None:
                self.out.finish(_table_unit(expression, spec), self._keys[expression.key], found)
        self.out.finish(_unit(expression), self._keys[expression.key], rows, files)

    def discard(self, job: Job) -> None:
        """Remove everything of a video."""
        for expression in job.expressions:
            self.out.discard(_unit(expression))
            for spec in TRACK_TABLES:
                self.out.discard(_table_unit(expression, spec))
        remove_tree(self.out.path / job.video.video_id)


def process_videos(
    jobs: Sequence[Job],
    runner: Runner,
    finished: FinishedUnits,
    team: Team,
    writers: ThreadPoolExecutor,
    task: Task,
) -> WorkerStats:
    """Segment this process's part of all videos; one that fails does not stop the others.

    Args:
        jobs: the same in every process.
        task: advances by the sentences that all processes have finished.
    """
    stats, shown = WorkerStats(), 0
    order = sorted(jobs, key=_size, reverse=True) if team.place.count > 1 else list(jobs)
    while (number := team.take(_NEXT_VIDEO)) < len(order) and not team.dismissed:
        for sentences in _process_video(order[number], runner, finished, writers, stats):
            done = team.count(_SENTENCES, sentences)
            task.advance(done - shown)
            shown = done
    stats.routes, stats.tracks = dict(runner.routes), dict(runner.counts)
    return stats


def _size(job: Job) -> int:
    return job.video.num_frames * len(job.expressions)


def _process_video(
    job: Job,
    runner: Runner,
    finished: FinishedUnits,
    writers: ThreadPoolExecutor,
    stats: WorkerStats,
) -> Iterator[int]:
    """Segment the unfinished sentences of a video; yields numbers of sentences as they finish."""
    missing = [row for row, rows in enumerate(finished.rows(job)) if rows is None]
    if finished.together and missing:
        missing = list(range(len(job.expressions)))
    before = len(job.expressions) - len(missing)
    stats.sentences_before += before
    stats.videos_before += not missing
    yield before
    if not missing:
        return
    writer = MaskWriter(finished.out.path, writers)
    by_id = {expression.expression_id: expression for expression in job.expressions}
    try:
        require_unchanged(job.video)
        for rows in runner.run(job.only(missing), writer):
            own = rows_by_expression(rows)
            for name, part in own.items():
                finished.add(by_id[name], part, writer)
            yield len(own)
    except INPUT_FAILURES as error:
        writer.wait()
        finished.discard(job)
        stats.failures[job.video.video_id] = f"video {job.video.video_id}: {error}"
    else:
        stats.videos += 1


def rows_by_expression(rows: pa.Table) -> dict[str, pa.Table]:
    """Split rows of some sentences, which stand one sentence after another."""
    parts, start = {}, 0
    for name, group in groupby(rows.column("expression_id").to_pylist()):
        length = sum(1 for _ in group)
        parts[name] = rows.slice(start, length)
        start += length
    return parts


def finished_rows(
    jobs: Sequence[Job], finished: FinishedUnits, failed: dict[str, str]
) -> Iterator[pa.Table]:
    """The rows of every video that did not fail, in the order of the jobs.

    Raises:
        TglError: a finished sentence is missing.
    """
    for job in jobs:
        if job.video.video_id not in failed:
            parts = list(_all_of(job, finished.rows(job), finished))
            yield concatenate(parts, PROPAGATION)


def finished_table(
    spec: TableSpec, jobs: Sequence[Job], finished: FinishedUnits, failed: dict[str, str]
) -> pa.Table:
    """The rows of a table of tracks of every video that did not fail, in the order of the jobs.

    Raises:
        TglError: a finished sentence is missing.
    """
    parts = [spec.schema.empty_table()]
    for job in jobs:
        if job.video.video_id not in failed:
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
