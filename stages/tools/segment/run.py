"""The parts that runs of `tgl segment` on files and on streams share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.directories import discard, recover, write_text_atomic
from schemas.errors import OutputBlocked, SystemRefused, TglError, system_errors
from schemas.layouts import RECEIPT_FILE
from stages.core.engine.outputs import (
    ANOTHER,
    FORCE,
    OutputFiles,
    output_files,
    refuse_inputs,
    unnamed_as,
)
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.pipeline import Pipeline
from stages.tools.segment.request import SegmentRequest

WORK_MARK = "segment.json"
"""A file in every work folder, which tells it from a folder of the user's."""
_MARK_TEXT = '{"format": "tgl-segment-work", "version": 1}\n'


@dataclass(frozen=True)
class SegmentRun:
    """A request, and how to carry it out.

    Attributes:
        config: models, routing and limits; for a stream also its delay.
        force: replace outputs that tgl did not write.
    """

    request: SegmentRequest
    config: SegmentConfig
    runtime: Runtime
    progress: Progress
    force: bool = False

    def warn(self, warnings: Iterable[str]) -> None:
        """Show the request's warnings, then `warnings`."""
        for warning in (*self.request.warnings, *warnings):
            self.progress.warn(warning)

    def output_files(self) -> AbstractContextManager[OutputFiles]:
        """Single-file outputs, which appear together at the end.

        Raises:
            OutputBlocked: one is an input or was not written by tgl.
        """
        return output_files(self.request.protected(), force=self.force)

    @contextmanager
    def pipeline(self, keep: Callable[[], bool] = lambda: False) -> Iterator[Pipeline]:
        """Let the stages work in the work folder; errors in it name the user's own file.

        A folder that the user did not name is removed at the end, and after an error unless it
        contains a finished artifact.

        Args:
            keep: whether the next run is to resume although this one comes to its end.

        Raises:
            OutputBlocked: the folder is or contains an input, or files that tgl did not write.
        """
        folder = self.request.work_path
        temporary = self.request.work is None
        refuse_inputs(folder, self.request.inputs())
        if temporary:
            recover(folder)
        self._refuse_foreign(folder)
        try:
            with system_errors(), unnamed_as(folder):
                folder.mkdir(parents=True, exist_ok=True)
                write_text_atomic(folder / WORK_MARK, _MARK_TEXT)
                yield Pipeline(folder, self.runtime, self.progress, self.force)
        except TglError as error:
            self._name_users_path(error)
            raise
        else:
            if temporary and not keep():
                discard(folder, folder)
        finally:
            if temporary and folder.is_dir() and not any(folder.rglob(RECEIPT_FILE)):
                discard(folder, folder)

    def check_folders(self, masks_stage: str) -> None:
        """Check the folders of masks and of work before anything is done.

        Args:
            masks_stage: the stage that will write the masks.

        Raises:
            OutputBlocked: one is or contains an input, is a file, or contains files that tgl did
                not write.
        """
        self.request.check_folders(masks_stage, force=self.force)
        if self.request.work is not None:
            self._refuse_foreign(self.request.work)

    def _refuse_foreign(self, folder: Path) -> None:
        """Check the work folder; with --force it may contain other files, which stay."""
        if folder.exists() and not folder.is_dir():
            raise OutputBlocked("is a file, not a folder", where=folder, hint=ANOTHER)
        if self.force or not folder.exists() or (folder / WORK_MARK).is_file():
            return
        if any(path.name != f".{WORK_MARK}.partial" for path in folder.iterdir()):
            raise OutputBlocked("contains files that tgl did not write", where=folder, hint=FORCE)

    def _name_users_path(self, error: TglError) -> None:
        """Let an error about a file in the work folder name the user's own file.

        That is the target of a link; else the source, or the overlay where something could not be
        written to a folder that the user did not name.
        """
        folder = self.request.work_path
        if error.where is None or not Path(error.where).is_relative_to(folder):
            return
        target = Path(os.path.realpath(error.where))
        if not target.is_relative_to(os.path.realpath(folder)):
            error.relocate(self.request.as_named(target))
        elif not isinstance(error, (OutputBlocked, SystemRefused)):
            owner = self.request.owner(Path(error.where).relative_to(folder))
            if owner is not None:
                error.relocate(owner)
        elif self.request.work is None:
            error.relocate(self.request.out)
