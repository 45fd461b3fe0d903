"""Building the parts of a training run from its config and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accelerate import Accelerator

from schemas.errors import ConfigError, CorruptInput, SchemaMismatch, TglError
from schemas.receipts import read_receipt
from schemas.wording import amount
from stages.core.engine.runtime import Runtime, usable_cores
from stages.core.engine.workers.forkserver import start_forkserver
from stages.core.index.index import Index
from stages.core.index.texts import MAPPED_SUFFIX, TextStore
from stages.core.model import device
from stages.core.model.adapter.cache import MASK_TO_COARSE
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.checkpoint import read_document, save_checkpoint, text_encoder
from stages.core.model.tgl import TglModel
from stages.train.config import SHIFT, IndexFolders, TrainConfig, TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.data.features import CachedFeatures
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.targets import target_side
from stages.train.data.windows import WindowDataset
from stages.train.distributed import broadcast_object, local_processes
from stages.train.feature_sources import FeatureSources
from stages.train.initial import initial_model
from stages.train.learner import ClipLearner
from stages.train.loading.loader import WORKER_MODULES, workers_of_process
from stages.train.loop import Trainer
from stages.train.model_card import TrainedOn
from stages.train.schedule import freeze_parts
from stages.train.track_head.bank import LabelledVideos
from stages.train.track_head.phase import HeadPhase
from stages.train.validation.interval import validation_interval
from stages.train.validation.validate import Validator

UNKNOWN = "unknown"


@dataclass(frozen=True)
class TextIndex:
    """An index, and the embeddings of all of its sentences."""

    index: Index
    texts: TextStore

    @staticmethod
    def open(index_folder: Path, text_folder: Path) -> TextIndex:
        """Open both, and check that nothing is missing.

        Raises:
            MissingInput: a sentence has no embedding, or a video no frames.
            CorruptInput: the index is empty.
        """
        index, texts = Index.open(index_folder), TextStore.open(text_folder)
        if not index.expressions:
            raise CorruptInput("contains no sentences", where=index_folder)
        texts.require(expression.text for expression in index.expressions)
        index.require_frames(every_video=True)
        return TextIndex(index, texts)

    @staticmethod
    def held_out(inputs: TrainInputs) -> TextIndex | None:
        """The index to validate on, if any."""
        if inputs.valid is None:
            return None
        return TextIndex.open(inputs.valid, inputs.valid_text or inputs.text)

    def facts(self) -> TrainedOn:
        """The index's content in numbers."""
        expressions = self.index.expressions
        return TrainedOn(
            videos=len(self.index.videos),
            sentences=len(expressions),
            without_target=sum(not e.anno_ids for e in expressions),
            moments=sum(
                len(spans) for e in expressions for spans in self.index.moments(*e.key).values()
            ),
        )

    @property
    def stills(self) -> int:
        """Number of sentences about one-frame videos."""
        videos = self.index.videos
        return sum(videos[e.video_id].num_frames == 1 for e in self.index.expressions)


def open_training(config: TrainConfig, inputs: TrainInputs) -> tuple[TextIndex, ...]:
    """Open all indexes to take clips from.

    Raises:
        ConfigError: the weights are not one for each index.
        SchemaMismatch: texts of another encoder than the others, or than that of `--init`.
        TglError: as :meth:`TextIndex.open`.
    """
    folders = inputs.training
    if config.index_weights and len(config.index_weights) != len(folders):
        raise ConfigError(
            f"{amount(len(config.index_weights), 'weights')} for {amount(len(folders), 'indexes')}",
            where="--weights",
            hint="give one for INDEX and one for each --also, in this order",
        )
    opened = tuple(TextIndex.open(pair.index, pair.text) for pair in folders)
    _require_one_encoder(folders, opened, inputs.init)
    if config.cache_features and config.still == SHIFT:
        for data in opened:
            if data.stills:
                raise ConfigError(
                    f"cached features cannot be shifted, and {data.index.folder} has one-frame "
                    "videos",
                    where="--cache-features",
                    hint="set --still repeat or --cache-features 0",
                )
    return opened


def _require_one_encoder(
    folders: Sequence[IndexFolders], opened: Sequence[TextIndex], init: Path | None
) -> None:
    """Raise SchemaMismatch if texts were not encoded alike, as far as it is known."""
    name, whose = encoder_name(folders[0].text), str(folders[0].text)
    if init is not None:
        name, whose = text_encoder(read_document(init)), f"--init {init}"
    for pair, data in zip(folders, opened, strict=True):
        own = encoder_name(pair.text)
        if UNKNOWN not in (own, name) and own != name:
            raise SchemaMismatch(
                f"encoded by {own}, but {whose} by {name}",
                where=pair.text,
                hint="precompute all texts with one encoder",
            )
        if data.texts.dim != opened[0].texts.dim:
            raise SchemaMismatch(
                f"has {data.texts.dim} numbers per token, but {folders[0].text} has "
                f"{opened[0].texts.dim}",
                where=pair.text,
                hint="precompute all texts with one encoder",
            )


@dataclass(frozen=True)
class Training:
    """The parts of a run: the training of the network, then the track head's, if there is one."""

    trainer: Trainer
    head: HeadPhase | None

    @property
    def model(self) -> TglModel:
        """The model that both change."""
        return self.trainer.learner.model


def build_training(
    config: TrainConfig,
    inputs: TrainInputs,
    data: Sequence[TextIndex],
    accelerator: Accelerator,
    runtime: Runtime,
    keep: Path | None,
) -> Training:
    """Build a training, with its model on the device of the run.

    Args:
        data: as :func:`open_training` returns it.
        keep: folder of the resumable state; None in all processes but the main one.
    """
    processes = local_processes()
    workers = workers_of_process(runtime, processes)
    start_forkserver(WORKER_MODULES)  # it loads them while this process loads the model
    model = initial_model(config, inputs, data[0].texts.dim)
    groups = model.parameter_groups()
    freeze_parts(groups, config.freeze)
    model.to(accelerator.device)
    if runtime.compile:
        model.backbone.compile_parts()
    if runtime.checkpoint_activations:
        model.backbone.recompute_activations()
    autocast = partial(device.autocast, runtime.precision, accelerator.device)
    held_out = TextIndex.held_out(inputs)
    if keep is not None:
        _map_texts(data, keep)
    cache = broadcast_object(keep, accelerator)
    source = FeatureSources(config, model, autocast, accelerator, cache, workers)
    indexes = [part.index for part in data]
    caches = source.caches(indexes)
    validator = None
    if held_out is not None:
        validator = _validator(config, held_out, model, source, workers)
    save_model = partial(save_checkpoint, model=model, encoder=encoder_name(inputs.text))
    dataset = _dataset(config, inputs, model.backbone, shares_of(config, data), cache, caches)
    trainer = Trainer(
        config=config,
        dataset=dataset,
        windows=_windows(config, dataset, model.backbone.image_size),
        features=source.of_clips(caches),
        learner=ClipLearner(
            model, config.loss_config(), mdp=config.mdp, use_relevance=config.reads_moments
        ),
        groups=groups,
        validate=None if validator is None else partial(validator, model, accelerator),
        valid_every=_interval(config, held_out, accelerator.num_processes),
        save_model=partial(save_model, with_head=False),
        accelerator=accelerator,
        autocast=autocast,
        keep=keep,
        workers=workers,
        cores=max(1, usable_cores() // processes),
    )
    if not config.fits_tracks:
        return Training(trainer, None)
    assert cache is not None
    head = HeadPhase(
        model,
        config.track_steps,
        config.seed,
        [
            LabelledVideos(d.index, d.texts, source.of_training(n, d.index))
            for n, d in enumerate(data)
        ],
        None
        if held_out is None
        else LabelledVideos(held_out.index, held_out.texts, source.of_videos(held_out.index)),
        accelerator,
        autocast,
        cache,
        keep,
    )
    return Training(trainer, head)


def encoder_name(text_folder: Path) -> str:
    """The text encoder that the receipt of the texts names; UNKNOWN if it names none."""
    try:
        receipt = read_receipt(text_folder)
    except TglError:
        receipt = None
    if receipt is None or "encoder" not in receipt.config:
        return UNKNOWN
    config = receipt.config
    return f"{config['encoder']}, {config.get('pooling', UNKNOWN)} pooling"


def _map_texts(data: Sequence[TextIndex], keep: Path) -> None:
    """Write the texts of all indexes so that processes share their memory."""
    for number, part in enumerate(data):
        path = _mapped_texts(keep, number)
        try:
            part.texts.write_mapped(path)
        except OSError:  # a full disk is no reason to stop: each process then has a copy
            path.unlink(missing_ok=True)


def _mapped_texts(cache: Path, number: int) -> Path:
    return cache / f"texts-{number + 1}{MAPPED_SUFFIX}"


def shares_of(config: TrainConfig, data: Sequence[TextIndex]) -> Shares:
    """How often each index has its turn: as configured, or every sentence equally often."""
    return Shares.of(config.index_weights or [len(part.index.expressions) for part in data])


def side_of_targets(config: TrainConfig, backbone: Backbone) -> int:
    """The side of the masks that clips are loaded with."""
    masks = backbone.mask_size
    return target_side(config.loss_side, masks, masks // MASK_TO_COARSE, backbone.image_size)


def _dataset(
    config: TrainConfig,
    inputs: TrainInputs,
    backbone: Backbone,
    shares: Shares,
    cache: Path | None,
    features: Sequence[CachedFeatures],
) -> ClipMixture:
    """The clips of a training.

    Args:
        cache: folder that may have the texts in the form that processes share.
        features: cached ones, of each index or none.
    """
    members = []
    for number, pair in enumerate(inputs.training):
        mapped = None if cache is None else _mapped_texts(cache, number)
        members.append(
            ClipDataset(
                pair.index,
                mapped if mapped is not None and mapped.is_file() else pair.text,
                config,
                size=backbone.image_size,
                target_side=side_of_targets(config, backbone),
                cache=features[number].rows if features else None,
                member=number,
            )
        )
    return ClipMixture(members, shares)


def _windows(config: TrainConfig, clips: ClipMixture, size: int) -> WindowDataset | None:
    """Windows for the relevance head, if the run wants them and an index has any."""
    if not config.reads_windows:
        return None
    windows = WindowDataset(
        clips,
        length=config.relevance_context,
        seed=config.seed,
        size=size,
    )
    return windows if windows.any else None


def _validator(
    config: TrainConfig, data: TextIndex, model: TglModel, source: FeatureSources, threads: int
) -> Validator:
    videos = source.of_videos(data.index)
    return Validator(data.index, data.texts, videos, config, model.backbone.image_size, threads)


def _interval(config: TrainConfig, held_out: TextIndex | None, processes: int) -> int:
    """Steps between validations; with nothing to validate on, beyond the end."""
    if held_out is None:
        return config.total_steps + 1
    return validation_interval(config, held_out.index, processes)
