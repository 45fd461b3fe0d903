"""The arms of the ablation: which weights, and how they are run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REFERENCES = ("look-alikes", "one-at-random", "all-objects")


@dataclass(frozen=True)
class Weights:
    """One training.

    Attributes:
        options: of tgl train.
        with_head: a track head is fitted too.
    """

    options: tuple[str, ...]
    with_head: bool = False


NO_HEAD = ("--track-width", "0")
METHOD = ("--sampling", "moment", "--mdp", "--oss")
WEIGHTS: dict[str, Weights] = {
    "tgl": Weights(METHOD, with_head=True),
    "mdp": Weights(("--sampling", "moment", "--mdp", "--no-oss", *NO_HEAD)),
    "moments": Weights(("--sampling", "moment", "--no-mdp", "--no-oss", *NO_HEAD)),
    "base": Weights(("--sampling", "random", "--no-mdp", "--no-oss", *NO_HEAD)),
    "windows": Weights((*METHOD, "--relevance-context", "64"), with_head=True),
}
"""Trainings by name, the most telling first."""
USUAL = ("tgl", "mdp", "moments", "base")
"""Windows are off by default and gained nothing where they were tried (docs/training.md)."""

KNOWN, OWN, EVERY = "annotated", "predicted", "all"
"""Values of --moments."""


@dataclass(frozen=True)
class Arm:
    """One row of the report's tables: weights, and the options of tgl propagate.

    Attributes:
        name: as the report calls it.
        weights: key of ``WEIGHTS``.
        tracks: "off"; "vote": the masks choose object tracks; "head": the track head does.
        moments: values of --moments to run it with.
        every_frame_written: unguided frames are written to memory too.
    """

    name: str
    weights: str
    tracks: str
    moments: tuple[str, ...]
    every_frame_written: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Options of tgl propagate."""
        memory = "all" if self.every_frame_written else "none"
        tracks = ("off",) if self.tracks == "off" else ("own", "--choose", self.tracks)
        return ("--irrelevant-memory", memory, "--tracks", *tracks)

    def folder(self, moments: str, seed: int) -> Path:
        """Folder of its masks and scores, below that of the split."""
        written = "-every" if self.every_frame_written else ""
        return Path(f"{self.weights}-{seed}", f"{moments}-{self.tracks}{written}")


BASE, SAMPLING, ROUTED, MDP, OSS = (
    "BASE",
    "+ moment sampling",
    "+ MDP at inference",
    "+ MDP",
    "+ OSS",
)
TRACKS = "{} + tracks"
EVERY_WRITTEN = "+ OSS, every frame written"
TGL, LONG = "TGL", "TGL with windows"
ARMS = (
    Arm(BASE, "base", "off", (KNOWN, EVERY)),
    Arm(TRACKS.format(BASE), "base", "vote", (EVERY,)),
    Arm(SAMPLING, "moments", "off", (KNOWN, OWN), every_frame_written=True),
    Arm(ROUTED, "moments", "off", (KNOWN, OWN)),
    Arm(TRACKS.format(ROUTED), "moments", "vote", (KNOWN, OWN)),
    Arm(MDP, "mdp", "off", (KNOWN, OWN)),
    Arm(TRACKS.format(MDP), "mdp", "vote", (KNOWN, OWN)),
    Arm(OSS, "tgl", "off", (KNOWN, OWN, EVERY)),
    Arm(EVERY_WRITTEN, "tgl", "off", (KNOWN,), every_frame_written=True),
    Arm(TRACKS.format(OSS), "tgl", "vote", (KNOWN, OWN, EVERY)),
    Arm(TGL, "tgl", "head", (KNOWN, OWN, EVERY)),
    Arm(LONG, "windows", "head", (KNOWN, OWN)),
)


def arms_of(weights: str) -> list[Arm]:
    """Arms that run the same weights."""
    return [arm for arm in ARMS if arm.weights == weights]
