"""Arguments and options of tgl segment that are not settings of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from stages.propagate.config import ROUTING, TRACKS

MANY = "Several videos"
PROMPTS = "Prompts by hand"

Source = Annotated[
    str | None,  # a sentence, if --videos names the videos
    typer.Argument(
        help="Video, image, or folder of frames; with --online also '-', raw RGB video on "
        "standard input. With --videos there is none.",
        show_default=False,
    ),
]
Videos = Annotated[
    list[Path] | None,
    typer.Option(
        "--videos",
        metavar="PATH",
        help="Several videos in one run: a folder of videos or of folders of frames, a quoted "
        "pattern, @FILE (a text file with one such name per line), or a single one; may be "
        "repeated. All words are then sentences, and --out is a folder.",
        rich_help_panel=MANY,
    ),
]
SentenceFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--sentences",
        metavar="FILE",
        help="Sentences for --videos: .csv with the columns video (name or path) and sentence, or "
        ".txt, each line for every video; may be repeated.",
        rich_help_panel=MANY,
    ),
]
Format = Annotated[
    Literal["mp4", "gif", "sheet", "webm", "mov"] | None,
    typer.Option(
        "--format",
        help="Format of the overlays of --videos, with --style cutout webm or mov; one overlay has "
        "the format of its suffix.",
        show_default="mp4, of cut-outs webm",
        rich_help_panel=MANY,
    ),
]
Sentences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SENTENCE",
        help="Objects to segment, such as 'the left dog'. Not needed with a prompt by hand.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Overlay to write: .mp4, .gif, or .png for a sheet of frames; with --style cutout "
        ".webm, .mov, or .png of an image; with --videos a folder for one of each.",
    ),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Trained model: a folder of tgl train, a hub id, or toy for the shapes of tgl toy.",
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X0,Y0,X1,Y1[@FRAME]",
        help="Box around an object, in pixels, on a frame (the first one is 0, the default). "
        "Prompts may be repeated, one object each; those with a name in front (NAME:...) are one.",
        rich_help_panel=PROMPTS,
    ),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="X,Y[@FRAME]",
        help="Point in an object.",
        rich_help_panel=PROMPTS,
    ),
]
NotPoints = Annotated[
    list[str] | None,
    typer.Option(
        "--not-point",
        metavar="X,Y[@FRAME]",
        help="Point outside the object; if there are several objects, with its name.",
        rich_help_panel=PROMPTS,
    ),
]
MaskImages = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="IMAGE[@FRAME]",
        help="Image of the video's size: black or 0 is the background, each other colour an "
        "object.",
        rich_help_panel=PROMPTS,
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(help="Folder for the masks as PNGs."),
]
Table = Annotated[
    Path | None,
    typer.Option(
        help="File for moments, boxes and masks (COCO RLE) per frame: .json, .csv or .parquet; "
        "with --online the last two."
    ),
]
Moments = Annotated[
    Literal["predicted", "all"],
    typer.Option(
        help="What routes the frames: moments that the model predicts, or all (every frame "
        "is relevant).",
        rich_help_panel=ROUTING,
    ),
]
Tracks = Annotated[
    Literal["auto", "off", "own"],
    typer.Option(
        help="Make masks of object tracks: own, off, or auto: own with a track head.",
        rich_help_panel=TRACKS,
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="Folder or hub id of the text encoder.", show_default="that of the checkpoint"
    ),
]
Fps = Annotated[
    float,
    typer.Option(
        help="Frame rate of the overlay; 0 is the video's rate. Needed for raw video.",
        min=0,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="WIDTHxHEIGHT of raw video on standard input, such as 1280x720.",
    ),
]
Font = Annotated[
    Path | None,
    typer.Option(
        help="TrueType or OpenType font, for scripts other than Latin, Greek and Cyrillic.",
        show_default="Source Sans",
    ),
]
Work = Annotated[
    Path | None,
    typer.Option(
        help="Folder for intermediate results; further sentences reuse the frames, further videos "
        "all that is finished.",
        show_default="temporary, beside the overlay",
    ),
]
KeepDamaged = Annotated[
    bool,
    typer.Option(
        "--keep-damaged",
        help="Keep the frames of a video with decoding errors, and count the errors; else the "
        "video fails.",
    ),
]
