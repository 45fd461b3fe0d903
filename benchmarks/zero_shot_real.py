"""Time and memory of the way without training with models of real size, on a GPU or a CPU.

    python benchmarks/zero_shot_real.py                              # the best device here
    python benchmarks/zero_shot_real.py --device cuda --precision bf16 --frames 48
    python benchmarks/zero_shot_real.py --device cpu --frames 16 --size 512 --tracker tiny

Weights are random, which does not affect the time: grounding-dino-tiny, SAM 2.1 and
clip-vit-base-patch32 by their configurations. One toy clip of 720x720 with eight objects and six
sentences; the tracker starts from the objects' true boxes, as random weights find none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import PUBLISHED, sam21_preset
from stages.core.model.device import pick_device
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE as EXTRACT_FRAMES
from stages.tools.select_moments.config import SelectConfig, SelectInputs
from stages.tools.select_moments.stage import STAGE as SELECT_MOMENTS
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY
from stages.zero_shot.assemble.config import AssembleConfig, AssembleInputs
from stages.zero_shot.assemble.stage import STAGE as ASSEMBLE
from stages.zero_shot.ground.config import GroundConfig, GroundInputs
from stages.zero_shot.ground.stage import STAGE as GROUND
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.stage import STAGE as TRACK

SIDE, OBJECTS, SENTENCES = 720, 8, 6
SEED = 1
"""Of a toy clip that has as many objects."""
BERT = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
CLIP = {"<|startoftext|>": 49406, "<|endoftext|>": 49407, "<unk>": 1}
GIGA = 1e9
VISIBLE = 20.0
"""An object score."""


def save_tokenizer(folder: Path, vocabulary: dict[str, int], start: str, end: str) -> None:
    """Write a tokenizer to which all words but those of the vocabulary are unknown."""
    unknown = next(word for word in vocabulary if "unk" in word.lower())
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        cls_token=start,
        sep_token=end,
        eos_token=end,
        pad_token=next(iter(vocabulary)) if "[PAD]" in vocabulary else end,
    ).save_pretrained(folder)


def save_models(folder: Path, tracker: str, size: int) -> None:
    """Write a detector, a tracker and a judge with random weights."""
    torch.manual_seed(0)
    logging.disable_progress_bar()
    detector = folder / "detector"
    GroundingDinoForObjectDetection(GroundingDinoConfig()).save_pretrained(detector)
    GroundingDinoImageProcessorPil().save_pretrained(detector)
    save_tokenizer(detector, BERT, "[CLS]", "[SEP]")
    sam = build_backbone(sam21_preset(tracker, size)).sam
    with torch.no_grad():  # every object is visible everywhere, so that no track is dropped
        sam.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(VISIBLE)
    sam.save_pretrained(folder / "tracker")
    judge = folder / "judge"
    CLIPModel(CLIPConfig()).save_pretrained(judge)
    CLIPImageProcessorPil().save_pretrained(judge)
    save_tokenizer(judge, CLIP, "<|startoftext|>", "<|endoftext|>")


class Bench:
    """The stages of one clip, each timed.

    Args:
        work: folder of everything.
        runtime: device and precision.
    """

    def __init__(self, work: Path, runtime: Runtime):
        self.work = work
        self.runtime = runtime
        self.device = pick_device(runtime.device)

    def run(self, stage: Any, config: Any, inputs: Any, name: str) -> dict[str, Any]:
        """Execute a stage; returns its counts."""
        progress = SilentProgress()
        out = self.work / name
        done = execute(stage, config, inputs, out, runtime=self.runtime, progress=progress)
        return dict(done.counts)

    def timed(self, label: str, units: float, unit: str, work: Callable[[], object]) -> None:
        """Print the time of a second run of some work, by unit, and the device's peak memory."""
        work()  # loads kernels, picks algorithms
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        peak = f"{torch.cuda.max_memory_allocated() / GIGA:8.2f} GB" if cuda else "       - GB"
        print(f"  {label:34s}{seconds:9.2f} s{1000 * seconds / units:10.1f} ms / {unit:16s}{peak}")

    def prepare(self, frames: int) -> Path:
        """Make the clip; returns its index."""
        toy = ToyConfig(
            seed=SEED,
            size=SIDE,
            frames=frames,
            train_clips=0,
            valid_clips=1,
            dev_clips=0,
            objects=OBJECTS,
            expressions=SENTENCES,
        )
        self.run(TOY, toy, ToyInputs(), "toy")
        data = self.work / "toy" / "valid"
        videos = ExtractInputs(tuple(sorted((data / "videos").glob("*.mp4"))))
        self.run(EXTRACT_FRAMES, ExtractConfig(), videos, "frames")
        self.run(BUILD_MOMENTS, IndexConfig(), IndexInputs(data, self.work / "frames"), "index")
        return self.work / "index"


def measure(bench: Bench, index: Path, frames: int, searched: int) -> None:
    """Time every stage of the clip."""
    work = bench.work
    number = iter(range(100))

    def again(stage: Any, config: Any, inputs: Any, name: str) -> Callable[[], object]:
        return lambda: bench.run(stage, config, inputs, f"{name}-{next(number)}")

    ground = GroundConfig(model=str(work / "detector"), frames=searched)
    detect = again(GROUND, ground, GroundInputs(index, work / "detector"), "ground")
    bench.timed("ground, grounding-dino-tiny", searched, "frame", detect)
    true = GroundConfig(model="objects", frames=searched, false_boxes=0, miss=0)
    listed = work / "toy" / "valid" / "objects.json"
    bench.run(GROUND, true, GroundInputs(index, objects=listed), "candidates")
    candidates = work / "candidates" / "candidates.parquet"
    inputs = TrackInputs(index, candidates, work / "tracker")
    # Random weights give masks that agree with nothing: keep every object.
    config = TrackConfig(min_support=0, max_tracks=OBJECTS, merge=1, same_object=1)
    tracks = bench.run(TRACK, config, inputs, "tracks")
    print(f"  {tracks}")
    count = max(1, int(tracks.get("tracks", OBJECTS)))
    bench.timed(
        f"track, {count} objects",
        frames * count,
        "frame and object",
        again(TRACK, config, inputs, "track"),
    )
    select = SelectConfig(model=str(work / "judge"), per="referent", accept=0)
    judge = again(SELECT_MOMENTS, select, SelectInputs(work / "tracks", work / "judge"), "selected")
    bench.timed("select-moments, CLIP ViT-B/32", frames * count, "frame and object", judge)
    bench.run(SELECT_MOMENTS, select, SelectInputs(work / "tracks", work / "judge"), "accepted")
    united = AssembleInputs(work / "tracks", work / "accepted" / "moments.parquet")
    masks = again(ASSEMBLE, AssembleConfig(), united, "masks")
    bench.timed("assemble", frames * SENTENCES, "mask", masks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, make models and clip, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--tracker", default="base-plus", choices=tuple(PUBLISHED))
    parser.add_argument("--size", type=int, default=1024, help="side of the tracker's image")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--searched", type=int, default=12, help="frames that ground searches")
    given = parser.parse_args(arguments)
    runtime = Runtime(device=given.device, precision=given.precision)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), runtime)
        save_models(bench.work, given.tracker, given.size)
        index = bench.prepare(given.frames)
        name = torch.cuda.get_device_name() if bench.device.type == "cuda" else "cpu"
        print(
            f"sam2.1 {given.tracker} at {given.size} px, {given.frames} frames of {SIDE}x{SIDE}, "
            f"{SENTENCES} sentences, {name}, {given.precision}, torch {torch.__version__}"
        )
        measure(bench, index, given.frames, min(given.searched, given.frames))


if __name__ == "__main__":
    main()
