"""Which classes make a backbone of which ``model_type``, and reading one from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, MissingInput, SchemaMismatch
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.edgetam import EdgeTamBackbone
from stages.core.model.pretrained import foreign_model
from stages.core.model.weights import CONFIG_NAME, load_fitting, read_config


@dataclass(frozen=True)
class Family:
    """One kind of video segmentation model.

    Attributes:
        config: name of its configuration class in transformers.
        model: name of its model class in transformers.
        wrap: what drives the model here.
    """

    config: str
    model: str
    wrap: type[Backbone]


FAMILIES = {
    "sam2_video": Family("Sam2VideoConfig", "Sam2VideoModel", Backbone),
    "edgetam_video": Family("EdgeTamVideoConfig", "EdgeTamVideoModel", EdgeTamBackbone),
}
"""By the ``model_type`` that config.json names."""
LARGEST_NUMBER = 2**16
"""In a configuration: no width, side or count of these models comes near it."""
TIMM_ENCODER = "edgetam_vision_model"
"""``model_type`` of the image encoder whose network comes from timm."""


def build_backbone(config: Any) -> Backbone:
    """A backbone with random weights.

    Args:
        config: of a class that ``FAMILIES`` names (see ``presets``).
    """
    import transformers

    family = FAMILIES[config.model_type]
    backbone = family.wrap(getattr(transformers, family.model)(config))
    tie_point_embedding(backbone)
    return backbone


def tie_point_embedding(backbone: Backbone) -> None:
    """Give the image and the prompts one random matrix for positions.

    From random weights the two differ, and points then cannot be learned; SAM 2's own weights
    hold the same matrix twice.
    """
    sam = backbone.sam
    shared = sam.shared_image_embedding.positional_embedding
    sam.prompt_encoder.shared_embedding.positional_embedding.data.copy_(shared.data)


def backbone_of(document: Mapping[str, Any], where: Path) -> Backbone:
    """A backbone with random weights from what a config.json holds.

    Args:
        document: the configuration, ``model_type`` included.
        where: the file it was read from, for messages.

    Raises:
        SchemaMismatch: another kind of model, or parts that do not fit each other.
        MissingInput: its image encoder needs a package that is not installed.
        CorruptInput: transformers cannot make a model of the configuration.
    """
    import transformers

    family = _family(document, where)
    _require_encoder(document.get("vision_config"), where)
    _require_small(document, where)
    try:
        with foreign_model(where, "transformers makes no model of it"):
            config = getattr(transformers, family.config).from_dict(dict(document))
            return build_backbone(config)
    except ConfigError as error:
        raise SchemaMismatch(error.message, where=where, hint=error.hint) from error


def _family(document: Mapping[str, Any], where: Path) -> Family:
    """The kind of model that a config.json names."""
    kind = document.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        known = " or ".join(repr(name) for name in FAMILIES)
        raise SchemaMismatch(f"backbone of model_type {kind!r}, expected {known}", where=where)
    return FAMILIES[kind]


def _require_encoder(vision: Any, where: Path) -> None:
    """Raise ``MissingInput`` where the image encoder is timm's and timm cannot be imported."""
    if not isinstance(vision, Mapping) or vision.get("model_type") != TIMM_ENCODER:
        return
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        # RuntimeError: a torchvision that does not fit the installed torch.
        raise MissingInput(
            f"its image encoder needs the package timm ({error})",
            where=where,
            hint="pip install 'tgl[edgetam]'",
        ) from error


def _require_small(value: Any, where: Path, key: str = "") -> None:
    """Raise ``SchemaMismatch`` for a number that only takes memory, wherever it stands."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _require_small(inner, where, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            _require_small(inner, where, key)
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise SchemaMismatch(
            f"asks for more than {LARGEST_NUMBER} of {key}, no model of this kind does",
            where=where,
            hint="use the config.json that was written with the weights",
        )


def load_backbone(folder: Path | str) -> Backbone:
    """A backbone from a folder that ``save_pretrained`` wrote; nothing is downloaded.

    Raises:
        MissingInput: the folder, config.json or model.safetensors is not there.
        SchemaMismatch: another kind of model, or keys or sizes that do not fit; all are listed.
        CorruptInput: the configuration is no JSON, or the weights are damaged.
    """
    folder = Path(folder)
    document = read_config(folder)
    _family(document, folder / CONFIG_NAME)  # told before a lack of weights
    build = partial(backbone_of, document, folder / CONFIG_NAME)
    return load_fitting(build, folder, part=lambda backbone: backbone.sam)
