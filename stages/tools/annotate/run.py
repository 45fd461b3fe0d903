"""Annotating: everything between the command line and the server.

It is no stage that execute() runs: the artifact grows while a person works, and is made from the
log alone, whenever a sentence is done and at every start and end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, system_errors
from schemas.layouts import ANNOTATION_LOG, safe_name
from schemas.vocabulary import STATUSES, VISIBILITY
from stages.core.browser.choosing import choose
from stages.core.browser.server import open_port, serve
from stages.core.browser.videos import Videos
from stages.core.engine.progress import Progress
from stages.core.index.index import Index
from stages.core.media.spans import frame_iou
from stages.tools.annotate.artifact import index_digests, write_artifact
from stages.tools.annotate.config import AnnotateConfig, login_name
from stages.tools.annotate.folder import annotators, open_log, own_folder
from stages.tools.annotate.lanes import (
    ANNOTATOR,
    CHOICE,
    PROPOSALS,
    Source,
    annotator_lanes,
    moment_lanes,
)
from stages.tools.annotate.log import Log
from stages.tools.annotate.marks import History
from stages.tools.annotate.records import Sentences
from stages.tools.annotate.saving import Saver
from stages.tools.annotate.session import ADJUDICATE, ANNOTATE, Row, Session

_FLAGGED = "flagged"


@dataclass(frozen=True)
class AnnotateInputs:
    """What is annotated.

    Attributes:
        index: of tgl build-moments, or of tgl track.
        adjudicate: two annotators' folders, or moments, to decide between.
    """

    index: Path
    adjudicate: tuple[Path, ...] = ()

    def paths(self, proposals: str | None) -> list[Path]:
        """All files and folders that are read."""
        named = [] if proposals in (None, VISIBILITY) else [Path(str(proposals))]
        return [self.index, *named, *self.adjudicate]


def annotate(
    config: AnnotateConfig,
    inputs: AnnotateInputs,
    out: Path,
    *,
    ready: Callable[[str], None],
    progress: Progress,
) -> tuple[Path, Mapping[str, int | float]]:
    """Serve the page until Ctrl-C; returns the annotator's folder and counts.

    Args:
        ready: receives the address to open.

    Raises:
        TglError: an input is missing or damaged, or OUT cannot be written.
    """
    with workbench(config, inputs, out, progress) as bench, open_port(config.port) as port:
        serve(bench.session, port, ready)
    return bench.folder, bench.counts


@contextmanager
def workbench(
    config: AnnotateConfig, inputs: AnnotateInputs, out: Path, progress: Progress
) -> Iterator[Workbench]:
    """Hold an annotator's folder, and write its artifact at the start and at the end.

    Raises:
        TglError: as :func:`annotate`.
    """
    name = safe_name(config.annotator or login_name(), where="--annotator")
    _check(config, inputs, out)
    index = Index.open(inputs.index)
    index.require_frames()
    with system_errors(out), own_folder(out, name, inputs.paths(config.proposals)) as folder:
        bench = Workbench.open(config, inputs, index, folder, progress)
        try:
            yield bench
        finally:
            bench.close()


def _check(config: AnnotateConfig, inputs: AnnotateInputs, out: Path) -> None:
    """Refuse options that contradict each other."""
    if inputs.adjudicate and config.blind:
        raise ConfigError("--blind hides what --adjudicate compares", where="--blind")
    if config.blind and config.proposals not in (None, VISIBILITY):
        proposals = Path(str(config.proposals)).resolve()
        if proposals.is_relative_to(out.resolve()):
            raise ConfigError(
                "the proposals are another annotator's work, which --blind hides", where="--blind"
            )


class Workbench:
    """An annotator's open folder.

    Attributes:
        folder: of the annotator.
        session: what the page shows.
        counts: of the artifact as it was written last.
    """

    def __init__(
        self,
        folder: Path,
        session: Session,
        log: Log,
        write: Callable[[Session], Mapping[str, int | float]],
        warn: Callable[[str], None],
    ):
        self.folder = folder
        self.session = session
        self.counts = write(session)
        self._log = log
        self._saver = Saver(lambda: write(session), warn)
        session.changed = self._saver.changed

    @classmethod
    def open(
        cls,
        config: AnnotateConfig,
        inputs: AnnotateInputs,
        index: Index,
        folder: Path,
        progress: Progress,
    ) -> Workbench:
        """Read the log and the lanes, and write the artifact."""
        mode = ADJUDICATE if inputs.adjudicate else ANNOTATE
        sentences = Sentences(index)
        videos = Videos(list(index.videos.values()), index.masks if index.masks.has_rows else None)
        sources = _sources(config, inputs, index, sentences, videos, folder)
        settings = {"annotator": folder.name, "mode": mode}
        digests = index_digests(index.folder)
        log, replay = open_log(folder, sentences, folder.name, mode, progress)
        histories = replay.all()
        about = {
            "annotator": folder.name,
            "blind": config.blind,
            "title": f"{index.folder.resolve().name}: {folder.name}",
            "index": str(index.folder),
            "referents": index.masks.has_rows,
        }
        rows = _rows(config, sentences, videos, histories, sources)
        session = Session(about, sentences, videos, rows, histories, sources, log)

        def write(session: Session) -> Mapping[str, int | float]:
            return write_artifact(folder, sentences, session.present(), settings, digests)

        return cls(folder, session, log, write, progress.warn)

    def close(self) -> None:
        """Write the artifact a last time."""
        try:
            self.counts = self._saver.close()
        finally:
            self._log.close()


def _sources(
    config: AnnotateConfig,
    inputs: AnnotateInputs,
    index: Index,
    sentences: Sentences,
    videos: Videos,
    folder: Path,
) -> list[Source]:
    """The lanes beside the annotator's own."""
    named: list[tuple[str, str, Any]] = []
    for path in inputs.adjudicate:
        if (path / ANNOTATION_LOG).is_file():
            lanes = annotator_lanes(path, sentences)
        else:
            lanes = moment_lanes(str(path), index, sentences, videos)
        named.append((path.name, CHOICE, lanes))
    if config.proposals is not None:
        lanes = moment_lanes(config.proposals, index, sentences, videos)
        named.append((_proposals_name(config.proposals), PROPOSALS, lanes))
    if not config.blind and not inputs.adjudicate:
        for other in annotators(folder.parent):
            if other.name != folder.name:
                named.append((other.name, ANNOTATOR, annotator_lanes(other, sentences)))
    names = _distinct([name for name, _, _ in named], inputs.adjudicate)
    return [
        Source(f"s{n}", name, kind, lanes)
        for n, (name, (_, kind, lanes)) in enumerate(zip(names, named, strict=True))
    ]


def _proposals_name(named: str) -> str:
    return named if named == VISIBILITY else "proposals"


def _distinct(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """The names, with the whole path where two to adjudicate are called the same."""
    return [
        str(paths[n]) if n < len(paths) and names.count(name) > 1 else name
        for n, name in enumerate(names)
    ]


def _rows(
    config: AnnotateConfig,
    sentences: Sentences,
    videos: Videos,
    histories: Sequence[History],
    sources: Sequence[Source],
) -> list[Row]:
    """The sentences to show: of two to adjudicate, the least agreed on first."""
    keys = [expression.key for expression in sentences.all]
    numbers = choose(config.only, keys, _groups(histories))
    pair = [source for source in sources if source.kind == CHOICE]
    if not pair:
        return [Row(number) for number in numbers]
    rows = [Row(n, _agreement(n, sentences, videos, pair)) for n in numbers]
    return sorted(rows, key=lambda row: (row.agreement is None, row.agreement or 0.0))


def _agreement(
    number: int, sentences: Sentences, videos: Videos, pair: Sequence[Source]
) -> float | None:
    """The mean IoU of two lanes over the referents; None where one says nothing."""
    one, other = (source.lanes(number) for source in pair)
    if one is None or other is None:
        return None
    frames = videos.all[videos.numbers[sentences.all[number].video_id]].num_frames
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
