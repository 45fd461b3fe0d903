"""Annotating: everything between the command line and the server.

It is no stage that execute() runs: the artifact grows while a person works, and is made from the
log alone, whenever a sentence is done and at every start and end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, UnsafeName, system_errors
from schemas.layouts import safe_name
from schemas.vocabulary import VISIBILITY
from stages.core.browser.server import Address, open_port, serve
from stages.core.engine.progress import Progress
from stages.core.index.index import Index
from stages.tools.annotate.artifact import index_digests, write_artifact
from stages.tools.annotate.config import AnnotateConfig, login_name
from stages.tools.annotate.folder import open_log, own_folder
from stages.tools.annotate.lanes import Source
from stages.tools.annotate.log import Log
from stages.tools.annotate.saving import Saver
from stages.tools.annotate.session import ADJUDICATE, ANNOTATE, Session
from stages.tools.annotate.sources import Material, chosen_rows, find_sources, ordered_rows


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
    ready: Callable[[Address], None],
    progress: Progress,
) -> tuple[Path, Mapping[str, int | float]]:
    """Serve the page until Ctrl-C; returns the annotator's folder and counts.

    Args:
        ready: receives the address to open.

    Raises:
        TglError: an input is missing or damaged, or OUT cannot be written.
    """
    with open_port(config.port) as port, workbench(config, inputs, out, progress) as bench:
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
    name = _name(config.annotator)
    _check(config, inputs, out)
    index = Index.open(inputs.index)
    index.require_frames()
    material = Material.of(index)
    sources = find_sources(
        material,
        proposals=config.proposals,
        choices=inputs.adjudicate,
        others=None if config.blind or inputs.adjudicate else out / name,
        progress=progress,
    )
    chosen_rows(config.only, material)  # before any folder is made
    with system_errors(out), own_folder(out, name, inputs.paths(config.proposals)) as folder:
        bench = Workbench.open(config, inputs, material, sources, folder, progress)
        try:
            yield bench
        finally:
            bench.close()


def _name(given: str | None) -> str:
    """The annotator's name, which is that of a folder."""
    try:
        return safe_name(login_name() if given is None else given, where="--annotator")
    except UnsafeName as error:
        error.hint = "name another one"
        raise


def _check(config: AnnotateConfig, inputs: AnnotateInputs, out: Path) -> None:
    """Refuse options that contradict each other."""
    if inputs.adjudicate and config.blind:
        raise ConfigError("hides what --adjudicate compares", where="--blind")
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
        material: Material,
        sources: Sequence[Source],
        folder: Path,
        progress: Progress,
    ) -> Workbench:
        """Read the log, and write the artifact."""
        mode = ADJUDICATE if inputs.adjudicate else ANNOTATE
        index, sentences = material.index, material.sentences
        settings = {"annotator": folder.name}
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
        rows = ordered_rows(config.only, material, histories, sources)
        session = Session(about, sentences, material.videos, rows, histories, sources, log)

        def write(session: Session) -> Mapping[str, int | float]:
            return write_artifact(folder, sentences, session.present(), settings, digests)

        return cls(folder, session, log, write, progress.warn)

    def close(self) -> None:
        """Write the artifact a last time."""
        try:
            self.counts = self._saver.close()
        finally:
            self._log.close()
