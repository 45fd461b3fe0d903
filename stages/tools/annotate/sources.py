"""The lanes that a run shows, and the sentences in the order to work in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MissingInput, TglError
from schemas.layouts import ANNOTATION_LOG
from schemas.vocabulary import STATUSES, VISIBILITY
from schemas.wording import suggestion
from stages.core.browser.choosing import choose
from stages.core.browser.videos import Videos
from stages.core.engine.progress import Progress
from stages.core.index.index import Index
from stages.core.index.table_paths import moments_folder
from stages.core.media.spans import frame_iou
from stages.tools.annotate.folder import annotators
from stages.tools.annotate.lanes import (
    ANNOTATOR,
    CHOICE,
    PROPOSALS,
    Lookup,
    Source,
    annotator_lanes,
    moment_lanes,
)
from stages.tools.annotate.marks import History
from stages.tools.annotate.records import Sentences

_FLAGGED = "flagged"


@dataclass(frozen=True)
class Row:
    """A sentence to work on: its number, and the agreement that ordered it (None: no order)."""

    number: int
    agreement: float | None = None


@dataclass(frozen=True)
class Material:
    """An index as annotate uses it."""

    index: Index
    sentences: Sentences
    videos: Videos

    @classmethod
    def of(cls, index: Index) -> Material:
        """Prepare an index."""
        masks = index.masks if index.masks.has_rows else None
        return cls(index, Sentences(index), Videos(list(index.videos.values()), masks))

    def moments(self, named: str) -> Lookup:
        """The lanes of moments that the user named.

        Raises:
            MissingInput: there are none of this name.
            TglError: as :func:`moment_lanes`.
        """
        if named != VISIBILITY and not os.path.lexists(named):
            near = suggestion(named, [VISIBILITY])
            hint = near or f"name a moments file, OUT of tgl select-moments, or {VISIBILITY}"
            raise MissingInput("no such moments file", where=named, hint=hint)
        return moment_lanes(named, self.index, self.sentences, self.videos)

    def frames(self, number: int) -> int:
        """Number of frames of a sentence's video."""
        return self.index.videos[self.sentences.all[number].video_id].num_frames


def find_sources(
    material: Material,
    *,
    proposals: str | None,
    choices: Sequence[Path],
    others: Path | None,
    progress: Progress,
) -> list[Source]:
    """The lanes beside the annotator's own.

    Args:
        proposals: moments, or `visibility`.
        choices: two to adjudicate, or none.
        others: the annotator's folder, if the work beside it is shown.

    Raises:
        TglError: proposals or choices cannot be read, or do not fit the index.
    """
    named: list[tuple[str, str, Lookup]] = []
    choices = [moments_folder(path) for path in choices]
    for path, name in zip(choices, _distinct(choices), strict=True):
        if (path / ANNOTATION_LOG).is_file():
            named.append((name, CHOICE, annotator_lanes(path, material.sentences)))
        else:
            named.append((name, CHOICE, material.moments(str(path))))
    if proposals is not None:
        name = VISIBILITY if proposals == VISIBILITY else "proposals"
        named.append((name, PROPOSALS, material.moments(proposals)))
    if others is not None:
        named += _of_others(material, others, progress)
    return [Source(f"s{n}", *parts) for n, parts in enumerate(named)]


def _of_others(
    material: Material, folder: Path, progress: Progress
) -> Iterator[tuple[str, str, Lookup]]:
    """The lanes of all other annotators; a log that cannot be read stops nobody else."""
    for other in annotators(folder.parent):
        if other.name == folder.name:
            continue
        try:
            lanes = annotator_lanes(other, material.sentences)
        except TglError as error:
            progress.warn(f"{error}; the work of {other.name} is not shown")
        else:
            yield other.name, ANNOTATOR, lanes


def _distinct(paths: Sequence[Path]) -> list[str]:
    """The names of folders, or the whole paths where two are called the same."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def ordered_rows(
    only: Sequence[str],
    material: Material,
    histories: Sequence[History],
    sources: Sequence[Source],
) -> list[Row]:
    """The sentences to show: with two to adjudicate, the least agreed on first.

    Args:
        only: words of --only.
        histories: of all sentences.

    Raises:
        MissingInput: a word names nothing.
    """
    numbers = chosen_rows(only, material, histories)
    pair = [source for source in sources if source.kind == CHOICE]
    if not pair:
        return [Row(number) for number in numbers]
    rows = [Row(n, _agreement(n, material, pair)) for n in numbers]
    return sorted(rows, key=lambda row: (row.agreement is None, row.agreement or 0.0))


def chosen_rows(
    only: Sequence[str], material: Material, histories: Sequence[History] = ()
) -> list[int]:
    """Numbers of the sentences that --only names; raises as :func:`ordered_rows`."""
    keys = [expression.key for expression in material.sentences.all]
    return choose(only, keys, _groups(histories))


def _agreement(number: int, material: Material, pair: Sequence[Source]) -> float | None:
    """The mean IoU of two lanes over the referents; None where one says nothing."""
    one, other = (source.lanes(number) for source in pair)
    if one is None or other is None:
        return None
    frames = material.frames(number)
    values = [frame_iou(a, b, frames) for a, b in zip(one, other, strict=True)]
    return sum(values) / len(values)


def _groups(histories: Sequence[History]) -> dict[str, list[int]]:
    """Words of --only for states of sentences, with the numbers of these."""
    states = {
        n: [history.now.status, *([_FLAGGED] if history.now.flag else [])]
        for n, history in enumerate(histories)
    }
    words = (*STATUSES, _FLAGGED)
    return {word: [n for n, found in states.items() if word in found] for word in words}
