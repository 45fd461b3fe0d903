"""The stage propagate: videos, sentences and a checkpoint in, masks out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.layouts import PROPAGATION_TABLE, safe_name
from schemas.tables import PROPAGATION
from stages.core.engine.execute import Outcome
from stages.core.engine.processes import Team, join
from stages.core.engine.processes import together as run_together
from stages.core.engine.progress import Progress, SilentTask, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index, Moments, read_moments
from stages.core.index.texts import TextStore
from stages.core.media.spans import span_mask
from stages.core.model.checkpoint import load_checkpoint
from stages.core.model.config import ModelConfig
from stages.core.model.device import pick_device
from stages.core.model.tgl import TglModel
from stages.propagate.config import (
    UNCHANGED,
    PropagateConfig,
    PropagateInputs,
    checkpoint_digest,
)
from stages.propagate.online.runner import OnlineRunner
from stages.propagate.video import Job, VideoRunner
from stages.propagate.work import Kept, Share, finished_rows, work_videos

_SCRATCH, _PREVIOUS = "scratch", "previous"

Known = Mapping[tuple[str, str], Moments]


def run(
    config: PropagateConfig,
    inputs: PropagateInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Segment every sentence of an index in every frame of its video.

    Under a launcher this is the first process's part; see :func:`together`.
    """
    inputs.check(config)
    team = join()
    team.call({_SCRATCH: str(out.path), _PREVIOUS: [str(path) for path in out.previous]})
    setup = Setup.open(config, inputs, runtime, out)
    total = sum(len(job.expressions) for job in setup.jobs)
    with progress.task("propagate", total, "expression") as task:
        own = setup.work(team, task)
        whole = Share.sum([own, *(Share(**report) for report in team.reports())])
    failures = [whole.failures.get(job.video.video_id) for job in setup.jobs]
    if failures and all(failures):
        raise _nothing_done([line for line in failures if line is not None])
    masks = 0
    with out.table_writer(PROPAGATION_TABLE, PROPAGATION) as table:
        for rows in finished_rows(setup.jobs, setup.kept, whole.failures):
            table.write(rows)
            masks += rows.num_rows
    counts = {
        "videos": len(setup.jobs) - len(whole.failures),
        "videos failed": len(whole.failures),
        "masks": masks,
    }
    lines = tuple(line for line in failures if line is not None)
    return Result(counts, lines, _run_counts(whole))


STAGE = Stage(
    "propagate",
    1,
    PropagateConfig,
    PropagateInputs,
    run,
    memory_hint="use fewer --expressions-per-batch",
)


def _nothing_done(failures: list[str]) -> TglError:
    if len(failures) == 1:
        return CorruptInput(failures[0])
    return CorruptInput(
        f"{failures[0]} (the first of {len(failures)} videos, all of which failed; nothing was "
        "written)"
    )


def together(
    work: Callable[[], Outcome], config: PropagateConfig, inputs: PropagateInputs, runtime: Runtime
) -> Outcome | None:
    """Execute this stage in one process, or in all that a launcher started.

    Args:
        work: executes the stage with the same config, inputs and runtime; called in the first
            process alone.

    Returns:
        What `work` returned in the first process, None in the others.
    """

    def follow(team: Team, order: dict[str, Any]) -> None:
        previous = [Path(path) for path in order[_PREVIOUS]]
        out = Workspace(Path(order[_SCRATCH]), STAGE.identity(config), "", previous)
        share = Setup.open(config, inputs, runtime, out).work(team, SilentTask())
        team.report(share.to_dict())

    return run_together(work, follow)


@dataclass(frozen=True)
class Setup:
    """What every process of a run needs, equal in all of them.

    Attributes:
        config, inputs, runtime: of the run.
        jobs: one a video, in the order of the index.
        texts: embeddings of the sentences.
        kept: what is finished.
    """

    config: PropagateConfig
    inputs: PropagateInputs
    runtime: Runtime
    jobs: list[Job]
    texts: TextStore
    kept: Kept

    @classmethod
    def open(
        cls, config: PropagateConfig, inputs: PropagateInputs, runtime: Runtime, out: Workspace
    ) -> Setup:
        """Read the inputs and plan the work.

        Raises:
            TglError: an input is missing or damaged.
        """
        index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
        index.require_frames()
        texts.require(expression.text for expression in index.expressions)
        jobs = plan_jobs(index, known_moments(index, inputs, config))
        kept = Kept(out, texts, checkpoint_digest(inputs.checkpoint))
        return cls(config, inputs, runtime, jobs, texts, kept)

    def work(self, team: Team, task: Task) -> Share:
        """This process's share of the videos."""
        model = load_model(self.inputs.checkpoint, self.config, self.texts)
        device = _device(self.runtime, team)
        model.to(device)
        if self.runtime.compile:
            compile_parts(model)
        kind = OnlineRunner if self.config.online else VideoRunner
        with ThreadPoolExecutor(self.runtime.workers) as decoders, ThreadPoolExecutor(1) as writers:
            runner = kind(
                model,
                self.texts,
                self.config,
                runtime=self.runtime,
                device=device,
                decoders=decoders,
            )
            return work_videos(self.jobs, runner, self.kept, team, writers, task)


def _device(runtime: Runtime, team: Team) -> torch.device:
    """The device asked for; of several GPUs, each process of a machine takes its own."""
    device = pick_device(runtime.device)
    if device.type == "cuda" and device.index is None and team.place.count > 1:
        return torch.device("cuda", team.place.local_rank % torch.cuda.device_count())
    return device


def _run_counts(share: Share) -> dict[str, int | float]:
    """What all processes of a run took over, and what routed the rest."""
    taken: dict[str, int | float] = {
        "videos finished before": share.videos_before,
        "expressions finished before": share.sentences_before,
    }
    return taken | {f"routed by {source}": n for source, n in sorted(share.routes.items())}


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


def compile_parts(model: TglModel) -> None:
    """Compile the parts that have no graph breaks."""
    sam = model.backbone.sam
    for part in (sam.vision_encoder, sam.memory_attention, sam.memory_encoder, sam.mask_decoder):
        part.compile()
