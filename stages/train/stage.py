"""The stage train: from an index, its texts and a backbone to a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from schemas.directories import list_folder, write_text_atomic
from schemas.layouts import BEST_FOLDER, HISTORY_TABLE, MODEL_CARD
from schemas.parquet import rows_of
from schemas.receipts import Receipt, write_receipt
from schemas.tables import HISTORY
from stages.core.engine.execute import Outcome
from stages.core.engine.progress import Progress, SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.version import TGL_VERSION
from stages.core.engine.workers.launcher import launched_processes
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_unchanged
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.loading.names import NAME_FIELD
from stages.core.model.tgl import TglModel
from stages.train.build import (
    TextIndex,
    build_training,
    encoder_name,
    open_training,
    shares_of,
)
from stages.train.config import TrainConfig, TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.distributed import (
    TRACKER,
    broadcast_object,
    destroy_process_group,
    make_accelerator,
)
from stages.train.loop import best_folder
from stages.train.model_card import model_card
from stages.train.state import TrainState

_LAST_STEPS = 100
_NOTICED_IMBALANCE = 0.05
"""Of the clips' places, beyond which the user is told; the law's own target is 0.002."""
_TRAIN, _STOP = "train", "stop"  # orders of the main process


def run(
    config: TrainConfig,
    inputs: TrainInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Train; see :func:`stages.core.engine.execute.execute`.

    Under a launcher the main process runs this; see :func:`together`.
    """
    if config.warms_up_only:
        progress.warn(
            f"--warmup {config.warmup} is not shorter than the training: the full learning rate is "
            "never reached"
        )
    trackers = out.path if config.tensorboard else None
    accelerator = make_accelerator(runtime, trackers, static_graph=config.static_graph)
    broadcast_object(_TRAIN, accelerator)
    if config.tensorboard:
        accelerator.init_trackers(TRACKER)
    data = open_training(config, inputs)
    for part in data:
        for video in part.index.videos.values():
            require_unchanged(video)
    training = build_training(config, inputs, data, accelerator, runtime, out.keep)
    trainer, model = training.trainer, training.model
    if config.sampling == "moment":
        for member in trainer.dataset.members:
            _warn_of_imbalance(member, progress)
    state = trainer.run(progress)
    for tracker in accelerator.trackers:
        tracker.finish()
    of_head = training.head.run(progress) if training.head is not None else {}
    encoder = encoder_name(inputs.text)
    save_checkpoint(out.path, model, encoder=encoder)
    best = best_folder(out.keep, state.best_step)
    if state.best_step and best.is_dir():  # else an interrupted run has moved it already
        shutil.rmtree(out.path / BEST_FOLDER, ignore_errors=True)
        best.rename(out.path / BEST_FOLDER)
    if state.best_step:
        _list_best(out.path / BEST_FOLDER, config, state.best_step)
    rows = [{"step": step, "name": name, "value": value} for step, name, value in state.history]
    out.write_table(HISTORY_TABLE, rows_of(rows, HISTORY), HISTORY)
    counts = _counts(config, data, state, model)
    counts |= _epochs(config, data, state.step * config.clips_per_step(accelerator.num_processes))
    counts |= of_head
    _write_card(out.path / MODEL_CARD, config, counts, data, model, encoder)
    return Result(counts, threads=torch.get_num_threads())


def _write_card(
    path: Path,
    config: TrainConfig,
    counts: Mapping[str, int | float],
    data: Sequence[TextIndex],
    model: TglModel,
    encoder: str,
) -> None:
    """Write the model card of a checkpoint; arguments as in :func:`model_card`."""
    backbone = model.backbone.to_config()
    card = model_card(
        config,
        counts,
        [part.facts() for part in data],
        backbone=backbone[NAME_FIELD] or backbone["model_type"],
        encoder=encoder,
        version=TGL_VERSION,
    )
    write_text_atomic(path, card)


def _warn_of_imbalance(data: ClipDataset, progress: Progress) -> None:
    """Tell the user of an index for which no law of clips hides the moments."""
    if data.law.imbalance > _NOTICED_IMBALANCE:
        progress.warn(
            f"the moments of {data.index_folder} lie too much alike: with clips of "
            f"{data.law.rules.frames} frames, the share of relevant frames differs by up to "
            f"{data.law.imbalance:.0%} between the places of a clip; fewer --clip-frames help"
        )


STAGE = Stage(
    "train",
    4,  # since 1: another law of clips, the track head, memories to track with, exact targets
    TrainConfig,
    TrainInputs,
    run,
    memory_hint="use a smaller --batch with more --accumulate",
    network=True,
)


def _list_best(folder: Path, config: TrainConfig, step: int) -> None:
    """Write a receipt beside the best weights: the artifact's own has no SHA-256 of subfolders."""
    counts = {"best step": step}
    receipt = Receipt(
        STAGE.name, STAGE.version, config.to_dict(), {}, "", counts, list_folder(folder),
        tgl=TGL_VERSION,
    )  # fmt: skip
    write_receipt(folder, receipt)


def together(
    work: Callable[[], Outcome], config: TrainConfig, inputs: TrainInputs, runtime: Runtime
) -> Outcome | None:
    """Execute this stage in one process, or in all that a launcher started.

    Args:
        work: executes the stage with the same config, inputs and runtime; called in the main
            process alone.

    Returns:
        the outcome of `work` in the main process, None in the others.
    """
    if launched_processes() == 1:
        return work()
    accelerator = make_accelerator(runtime, static_graph=config.static_graph)
    outcome = None
    if accelerator.is_main_process:
        outcome = work()
        broadcast_object(_STOP, accelerator)
    else:
        while broadcast_object(_STOP, accelerator) == _TRAIN:
            _follow(config, inputs, accelerator, runtime)
    destroy_process_group()
    return outcome


def _follow(
    config: TrainConfig, inputs: TrainInputs, accelerator: Accelerator, runtime: Runtime
) -> None:
    """Train along with the main process, without writing anything."""
    data = open_training(config, inputs)
    training = build_training(config, inputs, data, accelerator, runtime, None)
    training.trainer.run(SilentProgress())
    if training.head is not None:
        training.head.run(SilentProgress())


def _epochs(config: TrainConfig, data: Sequence[TextIndex], clips: int) -> dict[str, int | float]:
    """How often the run went through each of several indexes; nothing for a single one."""
    if len(data) == 1:
        return {}
    numbered = zip(shares_of(config, data).counts(clips), data, strict=True)
    return {
        f"epochs of index {number}": round(count / len(part.index.expressions), 2)
        for number, (count, part) in enumerate(numbered, start=1)
    }


def _without_moments(data: TextIndex) -> int:
    """Number of sentences with referents whose moments in a video are unknown."""
    index = data.index
    return sum(
        bool(e.anno_ids) and not index.moments(*e.key) and index.videos[e.video_id].num_frames > 1
        for e in index.expressions
    )


def _counts(
    config: TrainConfig, data: Sequence[TextIndex], state: TrainState, model: TglModel
) -> dict[str, int | float]:
    """The counts of the summary: data, steps and scores."""
    losses = [value for _, name, value in state.history if name == "loss"]
    scores = [value for _, name, value in state.history if name == "valid_J"]
    last = losses[-_LAST_STEPS:]
    counts: dict[str, int | float] = {
        "steps": state.step,
        "expressions": sum(len(part.index.expressions) for part in data),
        "without target": sum(not e.anno_ids for part in data for e in part.index.expressions),
        "weights trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "loss": sum(last) / len(last),
    }
    if stills := sum(part.stills for part in data):
        counts["of one-frame videos"] = stills
    if config.reads_moments:
        counts["without moments, whole video taken"] = sum(map(_without_moments, data))
        counts["never true"] = sum(
            part.index.is_never(*e.key) for part in data for e in part.index.expressions
        )
    if scores:
        counts |= {"valid J": scores[-1], "best valid J": state.best_score}
        counts["best step"] = state.best_step
    ranked = [value for _, name, value in state.history if name == "valid_relevance_auc"]
    return counts | ({"valid relevance AUC": ranked[-1]} if ranked else {})
