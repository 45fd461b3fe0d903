"""The model card of a checkpoint: README.md, which makes its folder a hub repository as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.wording import amount
from stages.core.engine.settings import defaults_of, option_name, settings_of
from stages.core.model.loading.catalog import APACHE, PublishedModel, published
from stages.train.config import TrainConfig

LICENCE_KEYS = {APACHE: "apache-2.0", "MIT": "mit"}
"""Names of licences as a hub knows them."""
_SCORES = (
    *("valid J", "best valid J", "best step", "valid relevance AUC"),
    *("held-out T-acc", "held-out N-acc", "no-target threshold"),
)
"""Counts of the receipt that say how good the model is."""
_CARD = """\
{header}
# A checkpoint of tgl

Segments the objects that a sentence refers to, in every frame of a video (referring video
object segmentation). Trained by Temporally Grounded Learning.

```
pip install tgl
tgl segment VIDEO "a sentence" --checkpoint CHECKPOINT -o masked.mp4
tgl propagate INDEX TEXT CHECKPOINT MASKS
```

CHECKPOINT is this folder, or the id of the hub repository that it was uploaded to.

## Model

- Backbone: {backbone}
- Text encoder: {encoder}
- Weights trained: {weights:,}

## Data

{indexes}

## Training

With tgl {version}. Settings that are not the defaults:

{settings}

## Scores in training

Of the held-out index and videos, at the training size. Report those of `tgl score`.

{scores}

## Licence

{licence}
The data may add terms of its own.
"""
_KNOWN_LICENCE = "The weights are made from those of {backbone}: {licence}."
_UNKNOWN_LICENCE = """\
The weights are made from those of {backbone}, whose licence tgl does not know. Name it here and
in the header before you publish them."""


@dataclass(frozen=True)
class TrainedOn:
    """The content of one index that clips were taken from.

    Attributes:
        videos: number of videos.
        sentences: number of sentences.
        without_target: how many of them refer to nothing in their video.
        moments: number of spans in which a sentence is true of a referent.
    """

    videos: int
    sentences: int
    without_target: int
    moments: int

    def __str__(self) -> str:
        return (
            f"{amount(self.videos, 'videos')}, {amount(self.sentences, 'sentences')} "
            f"({self.without_target:,} without a target), {amount(self.moments, 'moments')}"
        )


def model_card(
    config: TrainConfig,
    counts: Mapping[str, int | float],
    data: Sequence[TrainedOn],
    *,
    backbone: str,
    encoder: str,
    version: str,
) -> str:
    """The text of README.md, with the header that a hub reads.

    Args:
        config: of the training.
        counts: of its receipt.
        data: of every index.
        backbone: hub id, or the name of a folder.
        encoder: of the texts, as a checkpoint names it.
        version: of tgl.
    """
    known = published(backbone)
    licence = _UNKNOWN_LICENCE if known is None else _KNOWN_LICENCE
    return _CARD.format(
        header=_header(backbone, known),
        backbone=backbone,
        encoder=encoder,
        weights=counts["weights trained"],
        indexes="\n".join(f"- {one}" for one in data),
        version=version,
        settings=_list(_changed(config)),
        scores=_list({name: counts[name] for name in _SCORES if name in counts}),
        licence=licence.format(backbone=backbone, licence=known.licence if known else ""),
    )


def _header(backbone: str, known: PublishedModel | None) -> str:
    """The YAML header."""
    key = LICENCE_KEYS.get(known.licence) if known is not None else None
    lines = ["library_name: tgl", f"license: {key or 'other'}"]
    if known is not None:
        lines.append(f"base_model: {backbone}")
        if key is None:
            lines.append(f"license_name: {known.licence.lower().replace(' ', '-')}")
    lines += ["tags:", "- referring-video-object-segmentation", "- video-segmentation"]
    return "\n".join(["---", *lines, "---"])


def _changed(config: TrainConfig) -> dict[str, object]:
    """The settings that are not the defaults, by option."""
    defaults = defaults_of(TrainConfig)
    return {
        f"`{option_name(name, setting)}`": getattr(config, name)
        for name, setting in settings_of(TrainConfig).items()
        if getattr(config, name) != defaults[name]
    }


def _list(values: Mapping[str, object]) -> str:
    """A Markdown list of names and values."""
    return "\n".join(f"- {name}: {_text(value)}" for name, value in values.items()) or "- none"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
