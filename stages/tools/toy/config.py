"""Settings and inputs of `tgl toy`."""

from dataclasses import dataclass

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs

STYLES = ("varied", "plain")


@dataclass(frozen=True)
class ToyConfig(Settings):
    """Content of the synthetic clips; equal settings give equal bytes."""

    seed: int = setting(0, "Seed of every clip; splits never share a clip.", panel="Clips", low=0)
    size: int = setting(128, "Width and height of the clips in pixels, an even number.", low=32)
    frames: int = setting(24, "Frames per clip.", low=16, high=500)
    fps: int = setting(8, "Frame rate of the mp4 files.", low=1, high=120)
    train_clips: int = setting(200, "Clips of the train split.", low=0)
    valid_clips: int = setting(60, "Clips of the valid split, for final figures only.", low=0)
    dev_clips: int = setting(40, "Clips of the dev split, for choices during development.", low=0)
    objects: int = setting(
        5, "Most objects per clip, in groups that look alike.", panel="Contents", low=3, high=8
    )
    expressions: int = setting(6, "Expressions per clip.", low=1, high=20)
    late: float = setting(
        0.75, "Fraction of the actions that start in the second half of a clip.", low=0.0, high=1.0
    )
    no_target: float = setting(
        0.15, "Fraction of the expressions that refer to no object.", low=0.0, high=1.0
    )
    several: float = setting(
        0.3, "Fraction of the expressions that refer to several objects.", low=0.0, high=1.0
    )
    style: str = setting(
        "varied",
        "varied: textured moving backgrounds and objects, occluders; plain: flat colours.",
        choices=STYLES,
    )

    def __post_init__(self) -> None:
        """Check fields against each other.

        Raises:
            ConfigError: an odd size, or shares above 1 in all.
        """
        super().__post_init__()
        if self.size % 2:
            raise ConfigError(f"size is {self.size}", hint="the mp4 files need an even size")
        if self.no_target + self.several > 1:
            raise ConfigError(
                f"no_target + several is {self.no_target + self.several:g}", hint="at most 1"
            )

    def split_clips(self) -> dict[str, int]:
        """Clips of each split by the split's name."""
        return {"train": self.train_clips, "valid": self.valid_clips, "dev": self.dev_clips}


@dataclass(frozen=True)
class ToyInputs(Inputs):
    """No files: `tgl toy` reads none."""

    def digests(self) -> dict[str, str]:
        """No digests: the artifact depends on the settings only."""
        return {}
