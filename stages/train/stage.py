"""The stage train: an index, its texts and a backbone become a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from schemas.errors import CorruptInput, TglError
from schemas.layouts import HISTORY_TABLE
from schemas.parquet import rows_of, write_table
from schemas.receipts import read_receipt
from schemas.tables import HISTORY
from stages.engine.execute import Outcome
from stages.engine.progress import Progress, SilentProgress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.index.index import Index
from stages.index.texts import TextStore
from stages.model.backbone import load_backbone
from stages.model.checkpoint import save_checkpoint
from stages.model.features import FrameFeatures
from stages.model.tgl import TglModel
from stages.train.config import TrainConfig, TrainInputs
from stages.train.dataset import ClipDataset
from stages.train.distributed import TRACKER, launched_processes, make_accelerator, share
from stages.train.features import CachedFeatures, DiskBudget, FeatureSource, LiveFeatures
from stages.train.learner import ClipLearner
from stages.train.loop import Trainer, best_folder
from stages.train.schedule import freeze_parts
from stages.train.state import TrainState
from stages.train.validate import Validator

BEST_FOLDER = "best"
"""The checkpoint of the best validation, beside the last one, in the artifact."""

_WORK, _REST = "work", "rest"


def run(
    config: TrainConfig,
    inputs: TrainInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Train; see :func:`stages.engine.execute.execute`.

    Under a launcher this is the first process's part; see :func:`together`.
    """
    accelerator = make_accelerator(runtime, out.path if config.tensorboard else None)
    share(_WORK, accelerator)
    if config.tensorboard:
        accelerator.init_trackers(TRACKER)
    index, texts = _open(inputs)
    trainer = _trainer(config, inputs, index, texts, accelerator, runtime, out.keep)
    state = trainer.run(progress)
    for tracker in accelerator.trackers:
        tracker.finish()
    model = trainer.learner.model
    save_checkpoint(out.path, model, encoder=encoder_name(inputs.text))
    if state.best_step:
        best_folder(out.keep, state.best_step).rename(out.path / BEST_FOLDER)
    rows = [{"step": step, "name": name, "value": value} for step, name, value in state.history]
    write_table(out.path / HISTORY_TABLE, rows_of(rows, HISTORY), HISTORY)
    return Result(_counts(config, index, state, model))


STAGE = Stage("train", 1, TrainConfig, TrainInputs, run)


def together(
    work: Callable[[], Outcome], config: TrainConfig, inputs: TrainInputs, runtime: Runtime
) -> Outcome | None:
    """Execute this stage in one process, or in all that a launcher started.

    Args:
        work: executes the stage with the same config, inputs and runtime; called in the first
            process alone.

    Returns:
        What `work` returned in the first process, None in the others.
    """
    if launched_processes() == 1:
        return work()
    accelerator = make_accelerator(runtime)
    if accelerator.is_main_process:
        outcome = work()
        share(_REST, accelerator)
        return outcome
    while share(_REST, accelerator) == _WORK:
        _follow(config, inputs, accelerator, runtime)
    return None


def _follow(
    config: TrainConfig, inputs: TrainInputs, accelerator: Accelerator, runtime: Runtime
) -> None:
    """Train along with the first process, without a folder of one's own."""
    index, texts = _open(inputs)
    trainer = _trainer(config, inputs, index, texts, accelerator, runtime, None)
    trainer.run(SilentProgress())


def encoder_name(text_folder: Path) -> str:
    """What made the texts, as their receipt says; `unknown` for foreign ones."""
    try:
        receipt = read_receipt(text_folder)
    except TglError:
        receipt = None
    if receipt is None or "encoder" not in receipt.config:
        return "unknown"
    made = receipt.config
    return f"{made['encoder']}, {made.get('pooling', 'unknown')} pooling"


def _open(inputs: TrainInputs) -> tuple[Index, TextStore]:
    """The index and its texts, complete enough to start.

    Raises:
        MissingInput: a sentence has no embedding.
        CorruptInput: the index is empty.
    """
    index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
    if not index.expressions:
        raise CorruptInput("holds no sentence to learn from", where=inputs.index)
    _check_sentences(index, texts)
    return index, texts


def _check_sentences(index: Index, texts: TextStore) -> None:
    """Raise MissingInput now rather than in the middle of the run."""
    for expression in index.expressions:
        if expression.text not in texts:
            texts.get(expression.text)


def _trainer(
    config: TrainConfig,
    inputs: TrainInputs,
    index: Index,
    texts: TextStore,
    accelerator: Accelerator,
    runtime: Runtime,
    keep: Path | None,
) -> Trainer:
    """Everything of a run, on its device."""
    torch.manual_seed(config.seed)
    model = TglModel(config.model_config(), load_backbone(inputs.backbone), texts.dim)
    groups = model.parameter_groups()
    freeze_parts(groups, config.freeze)
    model.to(accelerator.device)
    if runtime.compile:
        _compile(model)
    autocast = _autocast(runtime, accelerator.device)
    size = model.backbone.image_size
    budget = DiskBudget.of(config.cache_features)
    cache = share(keep, accelerator)

    def features(of: Index, name: str) -> FeatureSource:
        encode = partial(_encode, model, autocast)
        if not config.cache_features or cache is None:
            return LiveFeatures(encode, size, accelerator.device)
        return CachedFeatures(cache / name, of, encode, size, accelerator.device, budget)

    validator = _validator(config, inputs, texts, features, size)
    return Trainer(
        config=config,
        dataset=ClipDataset(
            inputs.index,
            inputs.text,
            config,
            size=size,
            with_pixels=not config.cache_features,
        ),
        features=features(index, "features"),
        learner=ClipLearner(
            model, config.loss_config(), mdp=config.mdp, use_relevance=config.reads_moments
        ),
        groups=groups,
        trained={
            name: parameter
            for group in groups.values()
            for name, parameter in group.items()
            if parameter.requires_grad
        },
        validate=None if validator is None else partial(validator, model, accelerator),
        save_model=partial(save_checkpoint, model=model, encoder=encoder_name(inputs.text)),
        accelerator=accelerator,
        autocast=autocast,
        keep=keep,
        workers=0 if config.cache_features else runtime.workers,
    )


def _validator(
    config: TrainConfig,
    inputs: TrainInputs,
    texts: TextStore,
    features: Any,
    size: int,
) -> Validator | None:
    if inputs.valid is None:
        return None
    index = Index.open(inputs.valid)
    if inputs.valid_text is not None:
        texts = TextStore.open(inputs.valid_text)
    if not index.expressions:
        raise CorruptInput("holds no sentence to validate on", where=inputs.valid)
    _check_sentences(index, texts)
    return Validator(index, texts, features(index, "valid-features"), config, size)


def _encode(model: TglModel, autocast: Any, pixels: Tensor) -> FrameFeatures:
    with autocast():
        return model.encode(pixels)


def _autocast(runtime: Runtime, device: torch.device) -> Any:
    """A context for the network's arithmetic in the precision asked for."""
    if runtime.precision == "fp32":
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16)


def _compile(model: TglModel) -> None:
    """Compile the parts that run without graph breaks, each alone."""
    sam = model.backbone.sam
    for part in (sam.vision_encoder, sam.memory_attention, sam.mask_decoder, sam.memory_encoder):
        part.compile()


def _counts(
    config: TrainConfig, index: Index, state: TrainState, model: TglModel
) -> dict[str, int | float]:
    """The summary: what was learnt from, how far, and what stood in for missing moments."""
    losses = [value for _, name, value in state.history if name == "loss"]
    scores = [value for _, name, value in state.history if name == "valid_J"]
    last = losses[-min(len(losses), 100) :]
    counts: dict[str, int | float] = {
        "steps": state.step,
        "expressions": len(index.expressions),
        "without target": sum(not expression.anno_ids for expression in index.expressions),
        "weights trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "loss": sum(last) / len(last),
    }
    if config.reads_moments:
        counts["without moments, whole video taken"] = sum(
            bool(e.anno_ids) and not index.moments(*e.key) for e in index.expressions
        )
    if scores:
        counts |= {"valid J": scores[-1], "best valid J": state.best_score}
        counts["best step"] = state.best_step
    return counts
