"""Settings and inputs of score."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from schemas.files import require_regular
from schemas.layouts import (
    INDEX_TABLES,
    MEVIS_EXPRESSIONS,
    MEVIS_EXPRESSIONS_V2,
    MEVIS_MASKS,
    MOMENTS_FILE,
)
from stages.core.engine.digest import (
    file_digest,
    require_folder,
    state_text,
    text_digest,
    tree_digest,
)
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs

PROTOCOLS = ("mevis", "davis", "ref-davis", "ref-youtube-vos")
ERROR, ZERO = "error", "zero"
NO_REPORT = -1

_META_FILES = (*INDEX_TABLES, MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2, MOMENTS_FILE)


@dataclass(frozen=True)
class ScoreConfig(Settings):
    """Protocol of the scores, treatment of missing masks, and the report; see docs/scoring.md."""

    protocol: str = setting(
        "mevis",
        "mevis: every frame; davis: semi-supervised, without the first and last frame; "
        "ref-davis: mean of four annotators; ref-youtube-vos: frames with ground truth.",
        choices=PROTOCOLS,
    )
    missing: str = setting(
        ERROR,
        "Missing, unreadable or wrongly sized masks: error lists them and stops, zero scores "
        "each as 0.",
        choices=(ERROR, ZERO),
    )
    pictures: int = setting(
        12,
        "Number of worst and of best expressions shown in report.html; -1 writes no report.",
        flag="images",
        former=("pictures",),
        low=NO_REPORT,
        high=500,
    )
    row_images: int = setting(
        1000,
        "Number of rows of the report's table that show frames when opened, those of lowest J&F; "
        "some 12 kB each.",
        low=0,
        high=100_000,
        omit_default=True,
    )


@dataclass(frozen=True)
class ScoreInputs(Inputs):
    """Predictions and ground truth.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`, as propagate writes them; for the protocols
            davis and ref-davis see docs/scoring.md.
        gt: an index, a split of MeViS, or a folder of masks like `preds`.
    """

    preds: Path
    gt: Path

    def digests(self) -> dict[str, str]:
        """Digest predictions and ground truth by names, sizes and times, its tables by content."""
        return {"preds": tree_digest(self.preds), "gt": self.truth_digest()}

    def truth_digest(self) -> str:
        """Digest the ground truth alone."""
        root = require_folder(self.gt)
        meta = [root / name for name in _META_FILES if os.path.lexists(root / name)]
        if not meta:
            return tree_digest(self.gt)
        parts = [file_digest(path) for path in meta]
        masks = self.gt / MEVIS_MASKS
        if os.path.lexists(masks):  # near 1 GB: compared by size and time
            parts.append(state_text(require_regular(masks).stat()))
        return text_digest(" ".join(parts))
