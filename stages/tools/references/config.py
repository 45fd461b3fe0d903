"""Settings and inputs of `tgl references`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.digest import artifact_digest, file_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs

ALL_OBJECTS = "all-objects"
ONE_AT_RANDOM = "one-at-random"
LOOK_ALIKES = "look-alikes"
KINDS = (ALL_OBJECTS, ONE_AT_RANDOM, LOOK_ALIKES)


@dataclass(frozen=True)
class ReferencesConfig(Settings):
    """Trivial prediction that is written for every sentence."""

    kind: str = setting(
        ALL_OBJECTS,
        "Prediction for each sentence: all objects of the video, one at random, or all that "
        "look like its referents (if it has none: like its words).",
        choices=KINDS,
    )
    seed: int = setting(0, "Seed of the random choice.", low=0)


@dataclass(frozen=True)
class ReferencesInputs(Inputs):
    """True masks, and a list of the objects.

    Attributes:
        index: an artifact of build-moments with masks.
        objects: an objects.json with all objects and their categories, as `tgl toy` writes it.
            Without it, a video's objects are the referents of its sentences, and look-alikes are
            not available.
    """

    index: Path
    objects: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digest the index and the list of objects."""
        found = {"index": artifact_digest(self.index)}
        if self.objects is not None:
            found["objects"] = file_digest(self.objects)
        return found

    def check(self, config: ReferencesConfig) -> None:
        """Raise ConfigError if the kind needs a list of objects and none is given."""
        if config.kind == LOOK_ALIKES and self.objects is None:
            raise ConfigError(
                "look-alikes need a list of objects",
                where="--objects",
                hint="name the objects.json of the split, as tgl toy writes it",
            )
