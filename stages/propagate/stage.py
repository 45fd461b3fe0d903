"""The stage propagate: videos, sentences and a checkpoint in, masks out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.layouts import PROPAGATION_TABLE, safe_name
from schemas.receipts import canonical_json
from schemas.tables import PROPAGATION
from stages.engine.digest import text_digest
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.index.index import Index, Moments, Video, read_moments, span_mask
from stages.index.texts import TextStore
from stages.model.checkpoint import load_checkpoint
from stages.model.config import ModelConfig
from stages.model.device import pick_device
from stages.model.tgl import TglModel
from stages.propagate.answers import MaskWriter
from stages.propagate.config import (
    UNCHANGED,
    PropagateConfig,
    PropagateInputs,
    checkpoint_digest,
)
from stages.propagate.online_runner import OnlineRunner
from stages.propagate.video import Job, VideoRunner

Known = Mapping[tuple[str, str], Moments]


def run(
    config: PropagateConfig,
    inputs: PropagateInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Segment every sentence of an index in every frame of its video."""
    inputs.check(config)
    index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
    jobs = plan_jobs(index, known_moments(index, inputs, config))
    model = load_model(inputs.checkpoint, config, texts)
    device = pick_device(runtime.device)
    model.to(device)
    if runtime.compile:
        _compile(model)
    weights = checkpoint_digest(inputs.checkpoint)
    with ThreadPoolExecutor(runtime.workers) as decoders, ThreadPoolExecutor(1) as writers:
        kind = OnlineRunner if config.online else VideoRunner
        runner = kind(model, texts, config, runtime=runtime, device=device, decoders=decoders)
        return _run_videos(jobs, runner, weights, out, writers, progress)


STAGE = Stage("propagate", 1, PropagateConfig, PropagateInputs, run)


def known_moments(index: Index, inputs: PropagateInputs, config: PropagateConfig) -> Known:
    """Moments by sentence to route by: the index's, a file's, or none.

    Raises:
        MissingInput: annotated moments are asked for, but the index has none at all.
        CorruptInput: the file names a sentence that is not in the index, or a span too long.
    """
    if config.moments == "annotated":
        found = {expression.key: index.moments(*expression.key) for expression in index.expressions}
        if not any(found.values()):
            raise MissingInput(
                "the index holds no moments",
                where=inputs.index,
                hint="route with --moments predicted, or build the index with moments",
            )
        return found
    if config.moments != "file" or inputs.moments is None:
        return {}
    found = read_moments(inputs.moments)
    sentences = {expression.key for expression in index.expressions}
    for (video, name), moments in found.items():
        if (video, name) not in sentences:
            raise CorruptInput(
                f"moments of video {video}, expression {name}, which the index does not have",
                where=inputs.moments,
            )
        last = max(end for spans in moments.values() for _, end in spans)
        if last > index.videos[video].num_frames:
            raise CorruptInput(
                f"a moment of video {video}, expression {name} ends at frame {last}, the video "
                f"has {index.videos[video].num_frames}",
                where=inputs.moments,
            )
    return found


def plan_jobs(index: Index, known: Known) -> list[Job]:
    """One job a video with sentences, in the order of the index."""
    jobs = []
    for video in index.videos.values():
        expressions = index.expressions_of(video.video_id)
        if not expressions:
            continue
        masks: list[np.ndarray | None] = []
        for expression in expressions:
            safe_name(expression.expression_id, where=f"{index.folder}, {video.video_id}")
            moments = known.get(expression.key)
            spans = [span for group in (moments or {}).values() for span in group]
            masks.append(span_mask(spans, video.num_frames) if spans else None)
        jobs.append(Job(video, expressions, masks))
    return jobs


def load_model(folder: Path, config: PropagateConfig, texts: TextStore) -> TglModel:
    """The checkpoint, with the settings that this run overrides.

    Raises:
        SchemaMismatch: the texts are of another width than the checkpoint's.
    """
    model = load_checkpoint(folder)
    if texts.dim != model.text_dim:
        raise SchemaMismatch(
            f"the texts have {texts.dim} numbers a token, the checkpoint expects {model.text_dim}",
            where=folder,
            hint="precompute the text with the encoder that the model was trained with",
        )
    model.config = overridden(model.config, config)
    return model


def overridden(model: ModelConfig, config: PropagateConfig) -> ModelConfig:
    """The model's settings, where the run does not say otherwise."""
    changes: dict[str, Any] = {}
    if config.memory_frames:
        changes["memory_frames"] = config.memory_frames
    if config.irrelevant_memory != UNCHANGED:
        changes["irrelevant_memory"] = config.irrelevant_memory
    if config.banks != UNCHANGED:
        changes["per_moment_banks"] = config.banks == "moment"
    return replace(model, **changes)


def _run_videos(
    jobs: list[Job],
    runner: VideoRunner | OnlineRunner,
    weights: str,
    out: Workspace,
    writers: ThreadPoolExecutor,
    progress: Progress,
) -> Result:
    """Every video that is not finished yet; one that fails does not stop the others."""
    failures: list[str] = []
    done = resumed = masks = 0
    total = sum(len(job.expressions) for job in jobs)
    table = out.table_writer(PROPAGATION_TABLE, PROPAGATION)
    with table, progress.task("propagate", total, "expression") as task:
        for job in jobs:
            key = _unit_key(job, runner.texts, weights)
            rows = out.finished(job.video.video_id, key)
            if rows is None:
                rows = _run_video(job, runner, out, writers, key, failures, task)
                done += rows is not None
            else:
                resumed += 1
                task.advance(len(job.expressions))
            if rows is not None:
                table.write(rows)
                masks += rows.num_rows
    counts: dict[str, int | float] = {
        "videos": done,
        "videos finished before": resumed,
        "videos failed": len(failures),
        "masks": masks,
    }
    counts |= {f"routed by {source}": count for source, count in sorted(runner.routes.items())}
    return Result(counts, tuple(failures))


def _run_video(
    job: Job,
    runner: VideoRunner | OnlineRunner,
    out: Workspace,
    writers: ThreadPoolExecutor,
    key: str,
    failures: list[str],
    task: Any,
) -> pa.Table | None:
    """One video's rows; None if it failed, and then nothing of it is left."""
    writer = MaskWriter(out.path, writers)
    try:
        rows = runner.run(job, writer, task)
    except (CorruptInput, MissingInput) as error:
        writer.wait()
        remove_tree(out.path / job.video.video_id)
        failures.append(f"video {job.video.video_id}: {error}")
        return None
    out.finish(job.video.video_id, key, rows, writer.files)
    return rows


def _unit_key(job: Job, texts: TextStore, weights: str) -> str:
    """Digest of everything that a video's masks depend on beside the config."""
    sentences = []
    for expression, known in zip(job.expressions, job.known, strict=True):
        spans = None if known is None else known.tobytes().hex()
        sentences.append(
            [expression.expression_id, expression.text, bool(expression.anno_ids), spans]
        )
    said = [_text_digest(texts, expression.text) for expression in job.expressions]
    return text_digest(canonical_json([weights, _video_key(job.video), sentences, said]))


def _text_digest(texts: TextStore, sentence: str) -> str:
    try:
        found = texts.get(sentence)
    except TglError:
        return "missing"
    return text_digest((found.embeddings.tobytes() + found.pooled.tobytes()).hex())


def _video_key(video: Video) -> list[Any]:
    """A video by its size and its frames' names, sizes and times of change."""
    files = []
    for frame, name in enumerate(video.frame_names):
        path = video.frame_path(frame)
        status = path.stat() if path.is_file() else None
        files.append([name, status and status.st_size, status and status.st_mtime_ns])
    return [video.video_id, video.height, video.width, files]


def _compile(model: TglModel) -> None:
    """Compile the parts that have no graph breaks."""
    sam = model.backbone.sam
    for part in (sam.vision_encoder, sam.memory_attention, sam.memory_encoder, sam.mask_decoder):
        part.compile()
