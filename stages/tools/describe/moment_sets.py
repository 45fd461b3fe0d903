"""Sets of moments of one index: its own, those of a file, an annotator's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from schemas.errors import SchemaMismatch
from schemas.layouts import EXPRESSIONS_TABLE, PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.datasets.moment_rows import MomentRow, check_moment_row
from stages.core.index.index import Index
from stages.core.index.table_paths import moments_folder
from stages.core.media.spans import Span, merge_spans
from stages.core.moment_formats.registry import read_moments_file
from stages.core.moment_formats.timings import index_context
from stages.tools.describe.config import AUTO, DescribeConfig

Key = tuple[str, str]
SpansByReferent = Mapping[str | None, list[Span]]


@dataclass(frozen=True)
class MomentSet:
    """Moments of the sentences of an index, by one source.

    Attributes:
        name: as tables and pages show it.
        spans: of each sentence by referent (None: all together), sorted, apart from each other.
        judged: sentences about which the source says something, be it that they are never true.
        assumed: sentences without a target, which an index takes as never true.
        sources: number of rows by the column `source`.
        merged: rows that overlapped or touched another one of the same referent.
        unknown: sentences that the index lacks, which are left out.
    """

    name: str
    spans: Mapping[Key, SpansByReferent]
    judged: frozenset[Key]
    sources: Mapping[str, int]
    merged: int = 0
    unknown: tuple[Key, ...] = ()
    assumed: frozenset[Key] = frozenset()

    @cached_property
    def known(self) -> frozenset[Key]:
        """Sentences of which it is known when they are true."""
        return self.judged | self.assumed

    def tells_referents(self, key: Key) -> bool:
        """Whether the sentence's spans are of single referents."""
        return None not in self.spans.get(key, {})

    def of(self, key: Key, anno_id: str | None) -> list[Span]:
        """The spans of a referent of a sentence; None takes those of all referents together."""
        found = self.spans.get(key, {})
        if anno_id is not None:
            return found.get(anno_id, [])
        return merge_spans(span for spans in found.values() for span in spans)


def own_moments(index: Index) -> MomentSet:
    """The moments of the index itself; sentences without a target are never true."""
    return read_moments(index.folder, index, DescribeConfig())


def read_moments(path: Path, index: Index, config: DescribeConfig) -> MomentSet:
    """Read moments of the sentences of `index`.

    Args:
        path: a moments file, a folder with a moments table, another index, or an annotator's
            folder, whose finished sentences count, without those that were flagged.

    Raises:
        SchemaMismatch: another index with other lengths of videos.
        CorruptInput: a span or a referent that does not fit the index.
        TglError: as the format's reader raises them.
    """
    known_format = None if config.moments_format == AUTO else config.moments_format
    rows = read_moments_file(
        path, known_format, index_context(index, config.fps, rounding=config.rounding)
    )
    found = moment_set(rows, index, name=str(path), where=path)
    path = moments_folder(path)
    if (path / EXPRESSIONS_TABLE).is_file():
        return _with_no_target(found, index, path)
    if (path / PROPAGATION_TABLE).is_file():
        return _with_predicted(found, index, path / PROPAGATION_TABLE)
    return found


def moment_set(rows: Iterable[MomentRow], index: Index, *, name: str, where: object) -> MomentSet:
    """Sort rows by sentence and referent, and check them against the index.

    Raises:
        CorruptInput: a span or a referent that does not fit the index.
    """
    known = {expression.key: expression for expression in index.expressions}
    grouped: dict[Key, dict[str | None, list[Span]]] = defaultdict(lambda: defaultdict(list))
    judged: set[Key] = set()
    sources: Counter[str] = Counter()
    unknown: dict[Key, None] = {}
    rows_of_index = 0
    for row in rows:
        expression = known.get(row.key)
        if expression is None:
            unknown[row.key] = None
            continue
        check_moment_row(row, expression.anno_ids, index.videos[row.video_id].num_frames, where)
        judged.add(row.key)
        if row.is_never:
            continue
        grouped[row.key][row.anno_id].append(row.span)
        sources[row.source] += 1
        rows_of_index += 1
    spans = {
        key: {anno_id: merge_spans(found) for anno_id, found in by_anno.items()}
        for key, by_anno in grouped.items()
    }
    kept = sum(len(found) for by_anno in spans.values() for found in by_anno.values())
    return MomentSet(
        name, spans, frozenset(judged), dict(sources), rows_of_index - kept, tuple(unknown)
    )


def _with_predicted(found: MomentSet, index: Index, path: Path) -> MomentSet:
    """Add the sentences for which no moment was predicted to those that are judged."""
    columns = ["video_id", "expression_id"]
    table = read_table(path, PROPAGATION, columns=columns).group_by(columns).aggregate([])
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    known = {expression.key for expression in index.expressions}
    return replace(found, judged=found.judged | (set(rows) & known))


def _with_no_target(found: MomentSet, index: Index, path: Path) -> MomentSet:
    """Assume that the sentences without a target, as an index tells them, are never true."""
    other = index if path == index.folder else Index.open(path)
    for video_id, video in other.videos.items():
        own = index.videos.get(video_id)
        if own is not None and own.num_frames != video.num_frames:
            raise SchemaMismatch(
                f"video {video_id} has {video.num_frames} frames, and {own.num_frames} in "
                f"{index.folder}",
                where=path,
                hint="compare moments of the same frames",
            )
    known = {expression.key for expression in index.expressions}
    return replace(found, assumed=(no_target_sentences(other) & known) - found.judged)


def no_target_sentences(index: Index) -> frozenset[Key]:
    """Sentences that refer to nothing; none in a test split, whose targets are not known."""
    without = [e.key for e in index.expressions if not (e.object_ids or e.anno_ids)]
    return frozenset(without) if len(without) < len(index.expressions) else frozenset()
