"""Every command that writes, with one of its outputs and all that it reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tiny_world import TinyWorld

from stages.core.media.frames import frame_size

FOREIGN = "mine"
PACKED = "packed"
"""An artifact of precompute-text with further files."""
SUFFIXES = ("", ".mp4", ".parquet")
"""Of outputs of `tgl segment`: a name with another one is refused before it is looked at."""


_SEGMENT = {"-o": ".mp4", "--table": ".parquet", "--masks": "", "--work": ""}
SEGMENT_OUTPUTS: dict[str, dict[str, str]] = {
    "": _SEGMENT,
    "--online": _SEGMENT,
    "--mask": {"-o": ".mp4", "--masks": ""},
    "--model": {"-o": ".mp4", "--masks": ""},
    "--videos": {"-o": "", "--table": ".parquet"},
}
"""Outputs of `tgl segment` with their suffixes, by an option that tells the way."""


@dataclass(frozen=True)
class Command:
    """A command with one of its outputs.

    Attributes:
        arguments: of a world and OUT.
        inputs: names below the world's root of what it reads.
        file: whether the output is a single file.
        other: another stage's artifact, which OUT may not replace.
        other_file: for a single file, one in an artifact of another stage.
        suffix: of names that OUT may have.
        more: options that name inputs which no run here can read.
        keeps: whether --force lets it write into a folder and leaves what that holds.
        stage: whose artifact OUT is, for a folder.
    """

    arguments: Callable[[TinyWorld, Path], list[object]]
    inputs: tuple[str, ...]
    file: bool = False
    other: str = "answers"
    other_file: str = "text/texts.parquet"
    suffix: str = ""
    more: Callable[[TinyWorld], list[object]] = lambda _: []
    keeps: bool = False
    stage: str = ""


def elsewhere(world: TinyWorld) -> Path:
    """Where outputs go that are not tried."""
    return world.root.with_name("elsewhere")


def segment(option: str, suffix: str = "", *, way: str) -> Command:
    """`tgl segment` with the output of an option; the overlay goes elsewhere if it is another."""
    source, model, encoder, font, tracker, mask, detector = (
        f"own{suffix}/{part}{suffix}"
        for part in ("source", "model", "encoder", "font", "tracker", "mask", "detector")
    )
    overlay = "o" if way == "--videos" else "o.mp4"
    own = {"--mask": (tracker, mask), "--model": (detector, tracker)}.get(way, (model, encoder))

    def arguments(world: TinyWorld, out: Path) -> list[object]:
        outputs = (
            [option, out] if option == "-o" else ["-o", elsewhere(world) / overlay, option, out]
        )
        models = {
            "": ["the left one", "--checkpoint", world.root / model],
            "--videos": ["the left one", "--checkpoint", world.root / model],
            "--online": ["the left one", "--checkpoint", world.root / model, "--online"],
            "--mask": ["--tracker", world.root / tracker, "--mask", world.root / mask],
            "--model": [
                *("the left one", "--model", world.root / detector),
                *("--tracker", world.root / tracker, "--judge", "none"),
            ],
        }
        fixed = ("--device", "cpu", "--workers", 1)
        named = ["--videos"] if way == "--videos" else []
        return ["segment", *named, world.root / source, *models[way], *outputs, *fixed]

    return Command(
        arguments,
        (source, *own, font),
        file=option in ("-o", "--table") and (way, option) != ("--videos", "-o"),
        other_file="overlays/a/0.mp4" if suffix == ".mp4" else "text/texts.parquet",
        suffix=suffix,
        more=lambda world: [
            *(["--encoder", world.root / encoder] if encoder in own else []),
            *("--font", world.root / font),
        ],
        keeps=option == "--work",
        stage={"--mask": "segment", "--model": "assemble", "--videos": "segment-overlays"}.get(
            way, "propagate"
        ),
    )


COMMANDS: dict[str, Command] = {
    "toy": Command(
        lambda world, out: [
            *("toy", out, "--size", 32, "--frames", 16, "--objects", 3, "--expressions", 1),
            *("--train-clips", 1, "--valid-clips", 0, "--dev-clips", 0, "--style", "plain"),
        ],
        (),
    ),
    "extract-frames": Command(
        lambda world, out: ["extract-frames", world.video("a"), world.video("b"), out],
        ("videos/a.mp4", "videos/b.mp4"),
    ),
    "build-moments": Command(
        lambda world, out: [
            *("build-moments", world.dataset / "train", out, "--frames", world.frames),
            *("--moments", world.dataset / "train" / "moments.json"),
        ],
        ("dataset/train", "frames"),
    ),
    "precompute-text": Command(
        lambda world, out: ["precompute-text", world.index, out, "--encoder", "hash"],
        ("index",),
    ),
    "train": Command(
        lambda world, out: [
            *("train", world.index, world.text, out, "--backbone", world.backbone),
            *(
                "--valid",
                world.index,
                "--steps",
                1,
                "--track-steps",
                1,
                "--batch",
                1,
                "--clip-frames",
                3,
            ),
            *("--relevant-frames", 2, "--adapter-width", 16, "--adapter-layers", 1),
            *("--adapter-heads", 2, "--device", "cpu"),
        ],
        ("index", "text", "backbone", "frames", "frames/JPEGImages/a"),
    ),
    "propagate": Command(
        lambda world, out: [
            *("propagate", world.index, world.text, world.model, out, "--device", "cpu"),
            *("--moments", world.chosen / "moments.parquet"),
        ],
        ("index", "text", "model", "frames", "frames/JPEGImages/a", "chosen/moments.parquet"),
    ),
    "score": Command(
        lambda world, out: [
            *("score", world.preds, world.index, "--out", out, "--images", 0, "--workers", 1)
        ],
        ("preds", "index"),
    ),
    "score --report": Command(
        lambda world, out: [
            *("score", world.preds, world.index, "--report", out, "--compare", world.scores),
            *("--workers", 1),
        ],
        ("preds", "index", "scores"),
        file=True,
        other_file=f"{PACKED}/other.html",
    ),
    "select-moments": Command(
        lambda world, out: ["select-moments", world.index, out, "--model", world.selector],
        ("index", "selector", "frames", "frames/JPEGImages/a"),
    ),
    "select-moments --per referent": Command(
        lambda world, out: [
            *("select-moments", world.index, out, "--per", "referent", "--model", "truth"),
            *("--truth", world.index),
        ],
        ("index", "frames", "frames/JPEGImages/a"),
        stage="select-moments",
    ),
    "assemble": Command(
        lambda world, out: ["assemble", world.index, world.chosen / "moments.parquet", out],
        ("index", "chosen/moments.parquet", "frames", "frames/JPEGImages/a"),
    ),
    "ground": Command(
        lambda world, out: ["ground", world.index, out, "--model", world.detector],
        ("index", "detector", "frames", "frames/JPEGImages/a"),
    ),
    "ground --from": Command(
        lambda world, out: [
            *("ground", world.index, out, "--from", world.candidates / "candidates.parquet")
        ],
        ("index", "candidates/candidates.parquet"),
        stage="ground",
    ),
    "ground --model objects": Command(
        lambda world, out: ["ground", world.index, out, "--model", "objects"],
        ("index",),
        stage="ground",
    ),
    "track": Command(
        lambda world, out: [
            *("track", world.index, world.candidates / "candidates.parquet", out),
            *("--backbone", world.tracker, "--device", "cpu"),
        ],
        (
            *("index", "candidates/candidates.parquet", "tracker"),
            *("frames", "frames/JPEGImages/a"),
        ),
    ),
    "references": Command(
        lambda world, out: [
            *("references", world.index, out, "--objects", world.toy / "train" / "objects.json")
        ],
        ("index", "toy/train/objects.json"),
        other="chosen",
    ),
    "render": Command(
        lambda world, out: [
            *("render", world.preds, world.index, out, "--format", "sheet", "--cells", 1)
        ],
        ("preds", "index", "frames", "frames/JPEGImages/a"),
    ),
    "submit": Command(
        lambda world, out: [
            *("submit", world.preds, "--out", out, "--frames", world.frames),
            *("--meta", world.dataset / "train" / "meta_expressions.json"),
        ],
        ("preds", "frames", "dataset/train/meta_expressions.json"),
        file=True,
        other_file=f"{PACKED}/other.zip",
    ),
    "export-masks": Command(
        lambda world, out: ["export-masks", world.preds, out, "--index", world.index],
        ("preds", "index", "frames", "frames/JPEGImages/a"),
    ),
    "describe --html": Command(
        lambda world, out: [
            *("describe", world.index, "--html", out),
            *("--against", world.chosen / "moments.parquet"),
        ],
        ("index", "chosen/moments.parquet"),
        file=True,
        other_file=f"{PACKED}/other.html",
    ),
    "describe --json": Command(
        lambda world, out: ["describe", world.index, "--json", out],
        ("index",),
        file=True,
        other_file=f"{PACKED}/other.json",
    ),
    "export-moments": Command(
        lambda world, out: [
            *("export-moments", world.index, out, "--moments", world.chosen / "moments.parquet")
        ],
        ("index", "chosen/moments.parquet"),
        file=True,
        other_file=f"{PACKED}/other.json",
    ),
    **{
        " ".join(filter(None, ("segment", way, option))): segment(option, suffix, way=way)
        for way, options in SEGMENT_OUTPUTS.items()
        for option, suffix in options.items()
    },
}


def add_foreign(world: TinyWorld) -> None:
    """Add what is the user's to a world, and what `tgl segment` reads, under all suffixes."""
    elsewhere(world).mkdir()
    world.job("render", format="mp4").execute(world.overlays)
    shutil.copytree(world.text, world.root / PACKED)
    for suffix in (".html", ".json", ".zip"):
        (world.root / PACKED / f"other{suffix}").write_text("of another stage")
    for suffix in SUFFIXES:
        own = world.root / f"own{suffix}"
        (world.root / f"{FOREIGN}{suffix}").write_text("precious")
        for folder in (world.root / f"foreign{suffix}", own / f"encoder{suffix}"):
            folder.mkdir(parents=True)
            (folder / FOREIGN).write_text("precious")
        (own / f"font{suffix}").write_text("precious")
        shutil.copytree(world.model, own / f"model{suffix}")
        shutil.copytree(world.tracker, own / f"tracker{suffix}")
        shutil.copytree(world.detector, own / f"detector{suffix}")
        frame = Image.new("L", frame_size(world.frames / "JPEGImages" / "b" / "00000.jpg")[::-1], 1)
        frame.save(own / f"mask{suffix}", "PNG")
        if suffix == ".mp4":
            shutil.copy(world.video("b"), own / "source.mp4")
        else:
            shutil.copytree(world.frames / "JPEGImages" / "b", own / f"source{suffix}")
        if suffix:
            shutil.copytree(world.answers, world.root / f"answers{suffix}")
