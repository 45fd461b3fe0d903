"""Settings and inputs of export-masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import VIDEOS_TABLE
from stages.core.engine.digest import artifact_digest, tree_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.tools.export_masks.formats import FORMAT_NAMES

AUTO, REFERENT, SENTENCE = "auto", "referent", "sentence"


@dataclass(frozen=True)
class ExportConfig(Settings):
    """Format, and what an object of it is."""

    format: str = setting(
        "coco",
        "Format to write: COCO instances, YouTube-VIS, palette PNGs of DAVIS, CVAT for images, "
        "YOLO polygons, or a folder of PNGs per object.",
        choices=FORMAT_NAMES,
    )
    per: str = setting(
        AUTO,
        "Write an object per referent, labelled object, or per sentence (all its referents), "
        "labelled with it; auto: per referent from an index, per sentence from predictions.",
        choices=(AUTO, REFERENT, SENTENCE),
    )
    only: tuple[str, ...] = setting((), "Export only this VIDEO; may be repeated.")


@dataclass(frozen=True)
class ExportInputs(Inputs):
    """Masks to export.

    Attributes:
        source: an index, or predictions (`<video>/<expression id>/<frame>.png`).
        index: with predictions, the index that has their sentences and frames.
    """

    source: Path
    index: Path | None = None

    @property
    def is_index(self) -> bool:
        """Whether the masks are those of an index."""
        return (self.source / VIDEOS_TABLE).is_file()

    def digests(self) -> dict[str, str]:
        """Digests of the masks, and of the index."""
        digest = artifact_digest if self.is_index else tree_digest
        found = {"source": digest(self.source)}
        if self.index is not None:
            found["index"] = index_digest(self.index)
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that an index points to."""
        index = self.source if self.is_index else self.index
        return [*super().paths(), *(() if index is None else frame_folders(index))]
