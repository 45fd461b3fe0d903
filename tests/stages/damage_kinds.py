"""Every kind of file that a stage reads, with the reader through which the stages go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_world import TinyWorld, tgl
from tracks_mini import write_tracks

from schemas.errors import CorruptInput
from schemas.parquet import read_table
from schemas.receipts import read_receipt
from schemas.tables import FRAMES
from stages.core.datasets.layouts.registry import open_dataset
from stages.core.datasets.moment_rows import MomentRow
from stages.core.datasets.palette import read_numbers
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.frame_files import require_as_extracted
from stages.core.index.index import Expression, Index
from stages.core.index.texts import TextStore
from stages.core.media.frames import read_frame
from stages.core.moment_formats.context import MomentContext, Timing
from stages.core.moment_formats.registry import moment_format, read_moments_file
from stages.score.masks.png import read_labels, read_mask
from stages.score.propagation import temporal_of
from stages.score.results.compare import compare_runs
from stages.score.truth.index import read_index
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Findings
from stages.tools.check.submission import check_zip
from stages.tools.select_moments.judges.best_candidate import BestCandidateJudge
from stages.tools.submit.config import SubmitConfig, SubmitInputs
from stages.tools.submit.writing import write_submission
from stages.zero_shot.assemble.accepted import read_accepted
from stages.zero_shot.ground.given import read_given

_RUNTIME = Runtime(workers=1, device="cpu")
_EXPRESSIONS = tuple(
    Expression("a", str(number), text, ("1",), ("7",))
    for number, text in enumerate(("the left one jumps", "two that run"))
)
_CONTEXT = MomentContext(_EXPRESSIONS, {"a": Timing(40, 8.0, 32, 48)}, "refuse")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        make: writes a folder that holds one, given the tiny world.
        name: of the file in the folder.
        read: reads the folder as the stages do; what it returns tells any change.
        sealed: whether a digest or a checksum of its content stands somewhere, so that no change
            goes unseen.
        optional: whether there is nothing wrong where no file, or a link to none, is found.
    """

    make: Callable[[TinyWorld, Path], object]
    name: str
    read: Callable[[Path], object]
    sealed: bool = False
    optional: bool = False

    def may_miss(self, damage: str) -> bool:
        """Whether nobody can notice a damage."""
        if damage in ("missing", "link to nothing"):
            return self.optional
        return not self.sealed and damage.startswith("flipped")


def _copy(folder: str) -> Callable[[TinyWorld, Path], object]:
    """One of the world's folders, with its times: they are compared too."""
    return lambda world, whole: shutil.copytree(world.root / folder, whole)


def _moments(file_name: str, format: str, *, referents: bool) -> Kind:
    """A moments file of some rows."""
    anno = "7" if referents else None
    rows = [MomentRow("a", "0", anno, 0, 8), MomentRow("a", "1", anno, 16, 24)]
    inside = format in ("cvat", "elan")

    def make(_: TinyWorld, whole: Path) -> None:
        whole.mkdir()
        moment_format(format).write(whole if inside else whole / file_name, rows, _CONTEXT)

    def read(folder: Path) -> object:
        return list(read_moments_file(folder / file_name, None, _CONTEXT))

    return Kind(make, file_name, read, sealed=format == "parquet")


def _pictures(suffix: str, read: Callable[[Path], object]) -> Kind:
    """A picture that tgl did not write; a PNG carries checksums."""

    def make(_: TinyWorld, whole: Path) -> None:
        whole.mkdir()
        values = np.zeros((32, 48), np.uint8)
        values[8:24, 4:20] = 255
        Image.fromarray(values).save(whole / f"x{suffix}")

    name = f"x{suffix}"
    return Kind(make, name, lambda folder: read(folder / name), sealed=suffix == ".png")


def _read_extracted(folder: Path) -> bytes:
    path = folder / "JPEGImages/a/00000.jpg"
    require_as_extracted([path])
    return read_frame(path).tobytes()


def _read_index(folder: Path) -> object:
    index = Index.open(folder)
    moments = [index.moments(*e.key) for e in index.expressions]
    names = {anno for e in index.expressions for anno in e.anno_ids}
    masks = {
        (anno, frame): index.masks.mask(anno, frame).tobytes()  # type: ignore[union-attr]
        for anno in sorted(names)
        for frame in index.masks.frames_of(anno)
    }
    videos = [(v.video_id, v.frame_names, v.height, v.width, v.fps) for v in index.videos.values()]
    return videos, index.expressions, moments, masks


def _read_texts(folder: Path) -> object:
    store = TextStore.open(folder)
    found = [store.get(text) for text in ("the left one jumps", "two that run")]
    return [
        (f.tokens, f.embeddings.tobytes(), f.pooled.tobytes(), f.motion.tobytes()) for f in found
    ]


def _read_dataset(folder: Path) -> object:
    dataset = open_dataset(folder)
    return dataset.videos(), dataset.expressions(), list(dataset.tracks(_RUNTIME))


def _make_predictions(world: TinyWorld, whole: Path) -> None:
    shutil.copytree(world.preds, whole)
    shutil.copytree(world.index, whole / ".index")


def _read_propagation(folder: Path) -> object:
    return temporal_of(folder, read_index(folder / ".index"))


def _make_submission(world: TinyWorld, whole: Path) -> None:
    whole.mkdir()
    write_submission(
        SubmitConfig(),
        SubmitInputs(world.preds, world.dataset / "train/meta_expressions.json"),
        whole / "x.zip",
        runtime=_RUNTIME,
        progress=SilentProgress(),
    )


def _read_submission(folder: Path) -> object:
    findings = Findings()
    server = check_zip(folder / "x.zip", CheckConfig(), None, findings)
    if findings.faults:
        raise CorruptInput(str(findings.faults[0]))
    return server, findings.counts


def _make_candidates(world: TinyWorld, whole: Path) -> None:
    shutil.copytree(world.candidates, whole)
    shutil.copytree(world.index, whole / ".index")


def _make_results(world: TinyWorld, whole: Path) -> None:
    shutil.copytree(world.index, whole / ".index")
    row = {"image_id": "a/00000", "expression_id": "0", "bbox": [1, 2, 3, 4], "score": 0.5}
    (whole / "results.json").write_text(json.dumps([row, {**row, "image_id": "b/00001"}]))


def _read_given(name: str) -> Callable[[Path], object]:
    return lambda folder: read_given(folder / name, Index.open(folder / ".index")).table


def _make_scores(world: TinyWorld, whole: Path) -> None:
    shutil.copytree(world.scores, whole)
    shutil.copytree(world.scores, whole / ".other")


def _read_summary(folder: Path) -> str:
    code, out, err = tgl("table", folder)
    if code:
        raise CorruptInput(err.removesuffix("\n"))
    return out


_INDEX_FILES = ("videos", "expressions", "moments", "masks")
KINDS: dict[str, Kind] = {
    "frame of extract-frames": Kind(
        _copy("frames"), "JPEGImages/a/00000.jpg", _read_extracted, sealed=True
    ),
    "foreign JPEG": _pictures(".jpg", lambda path: read_frame(path).tobytes()),
    "PNG frame": _pictures(".png", lambda path: read_frame(path).tobytes()),
    "annotation PNG": _pictures(".png", lambda path: read_numbers(path).tobytes()),
    "prediction PNG": _pictures(".png", lambda path: read_mask(path).words.tobytes()),
    "prediction PNG with labels": _pictures(".png", lambda path: read_labels(path).tobytes()),
    "frames.parquet": Kind(
        _copy("frames"),
        "frames.parquet",
        lambda folder: read_table(folder / "frames.parquet", FRAMES),
        sealed=True,
    ),
    **{
        f"{name}.parquet": Kind(_copy("index"), f"{name}.parquet", _read_index, sealed=True)
        for name in _INDEX_FILES
    },
    "tracks.parquet": Kind(
        lambda world, whole: write_tracks(world.index, whole),
        "tracks.parquet",
        lambda folder: BestCandidateJudge(folder).scores,
        sealed=True,
    ),
    "moments of accepted tracks": Kind(
        _copy("index"),
        "moments.parquet",
        lambda folder: repr(read_accepted(folder / "moments.parquet", Index.open(folder))),
        sealed=True,
    ),
    "texts.parquet": Kind(_copy("text"), "texts.parquet", _read_texts, sealed=True),
    "propagation.parquet": Kind(
        _make_predictions, "propagation.parquet", _read_propagation, sealed=True, optional=True
    ),
    "candidates.parquet": Kind(
        _make_candidates, "candidates.parquet", _read_given("candidates.parquet"), sealed=True
    ),
    "COCO results": Kind(_make_results, "results.json", _read_given("results.json")),
    "scores.parquet": Kind(
        _make_scores,
        "scores.parquet",
        lambda folder: compare_runs(folder / ".other", folder),
        sealed=True,
    ),
    "summary.json": Kind(_copy("scores"), "summary.json", _read_summary),
    "receipt.json": Kind(_copy("scores"), "receipt.json", read_receipt, optional=True),
    "mask_dict.json": Kind(_copy("dataset/train"), "mask_dict.json", _read_dataset),
    "meta_expressions.json": Kind(_copy("dataset/train"), "meta_expressions.json", _read_dataset),
    "submission": Kind(_make_submission, "x.zip", _read_submission, sealed=True),
    "moments, tgl": _moments("m.json", "tgl", referents=True),
    "moments, Parquet": _moments("m.parquet", "parquet", referents=True),
    "moments, CSV": _moments("m.csv", "csv", referents=True),
    "moments, QVHighlights": _moments("m.jsonl", "qvhighlights", referents=False),
    "moments, Charades-STA": _moments("m.txt", "charades-sta", referents=False),
    "moments, Label Studio": _moments("m.json", "label-studio", referents=True),
    "moments, CVAT": _moments("a.xml", "cvat", referents=True),
    "moments, VIA": _moments("m.csv", "via", referents=True),
    "moments, ELAN": _moments("a.eaf", "elan", referents=True),
}
"""Weights, their config.json and the files of encoders: tests/stages/core/model/loading/
test_weights.py and tests/stages/precompute_text/test_foreign_models.py."""
