"""The parts that runs of `tgl segment` on files and on streams share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.directories import remove_tree, write_text_atomic
from schemas.errors import OutputBlocked, TglError
from schemas.layouts import RECEIPT_FILE
from stages.core.engine.outputs import FORCE, OutputFiles, output_files, refuse_inputs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.propagate.config import PropagateConfig
from stages.tools.segment.pipeline import Pipeline
from stages.tools.segment.request import SegmentRequest

WORK_MARK = "segment.json"
"""A file in every work folder, which tells it from a folder of the user's."""
_MARK_TEXT = '{"format": "tgl-segment-work", "version": 1}\n'


@dataclass(frozen=True)
class SegmentRun:
    """A request, and how to carry it out.

    Attributes:
        config: routing and limits; for a stream also its delay.
        force: replace outputs that tgl did not write.
    """

    request: SegmentRequest
    config: PropagateConfig
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
    def pipeline(self) -> Iterator[Pipeline]:
        """Let the stages work in the work folder; errors in it name the user's own file.

        A folder that the user did not name is removed at the end, and after an error unless it
        contains a finished artifact.

        Raises:
            OutputBlocked: the folder is or contains an input, or files that tgl did not write.
        """
        folder = self.request.work_path
        self._prepare(folder)
        temporary = self.request.work is None
        try:
            yield Pipeline(folder, self.runtime, self.progress, self.force)
        except TglError as error:
            if error.where is not None and folder in Path(error.where).parents:
                error.relocate(self._users_path(folder, Path(error.where)))
            raise
        else:
            if temporary:
                remove_tree(folder)
        finally:
            if temporary and folder.is_dir() and not any(folder.rglob(RECEIPT_FILE)):
                remove_tree(folder)

    def _prepare(self, folder: Path) -> None:
        refuse_inputs(folder, self.request.inputs())
        mark = folder / WORK_MARK
        used = folder.exists() and not mark.is_file() and any(folder.iterdir())
        if used and not self.force:
            raise OutputBlocked("contains files that tgl did not write", where=folder, hint=FORCE)
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomic(mark, _MARK_TEXT)

    def _users_path(self, folder: Path, where: Path) -> Path:
        """The user's file that `where` in the work folder links to, else the source."""
        target = Path(os.path.realpath(where))
        inside = Path(os.path.realpath(folder)) in target.parents
        return self.request.source if inside else target
