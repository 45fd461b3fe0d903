"""Settings of view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from schemas.layouts import VIDEOS_TABLE
from stages.core.browser.settings import port_setting
from stages.core.engine.settings import Settings, setting

MOST_PREDICTIONS = 2


@dataclass(frozen=True)
class ViewConfig(Settings):
    """What is shown."""

    only: tuple[str, ...] = setting(
        (), "Show only this VIDEO or VIDEO/EXPRESSION; may be repeated.", affects_result=False
    )
    port: int | None = port_setting()


@dataclass(frozen=True)
class ViewInputs:
    """What is read.

    Attributes:
        frames: an index, or a bare folder of frames.
        preds: folders of predicted masks, at most two.
        scores: the scores of each, in the same order; there may be fewer.
    """

    frames: Path
    preds: tuple[Path, ...] = ()
    scores: tuple[Path, ...] = ()

    @property
    def has_index(self) -> bool:
        """Whether the frames come with sentences and ground truth."""
        return (self.frames / VIDEOS_TABLE).is_file()

    def check(self) -> None:
        """Check that the inputs go together.

        Raises:
            ConfigError: too many of them, scores without predictions, or nothing to show.
        """
        if len(self.preds) > MOST_PREDICTIONS:
            raise ConfigError(
                f"{len(self.preds)} folders, at most {MOST_PREDICTIONS} are shown", where="--preds"
            )
        if len(self.scores) > len(self.preds):
            raise ConfigError("each --scores belongs to a --preds before it", where="--scores")
        if not self.preds and not self.has_index:
            raise ConfigError(
                "is not an index, and a bare folder of frames needs predictions",
                where=self.frames,
                hint="name them with --preds",
            )
