"""The families of video segmentation models, and reading a backbone from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, SchemaMismatch
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.edgetam import EdgeTamBackbone
from stages.core.model.backbones.sam3 import Sam3Backbone
from stages.core.model.loading.pretrained import model_errors, refuse_kernels
from stages.core.model.loading.published import load_published
from stages.core.model.loading.weights import CONFIG_NAME, read_config

_IN_A_PIPELINE = {r"^tracker_model\.(.+)": r"\1"}
"""Folders that hold a detector beside the tracker put the tracker's tensors under this prefix."""
_POINT_EMBEDDING = {
    "prompt_encoder.shared_embedding.positional_embedding": (
        "shared_image_embedding.positional_embedding"
    )
}
"""One matrix under two names; transformers once tied them, and saved the second only."""


@dataclass(frozen=True)
class Family:
    """One kind of video segmentation model.

    Attributes:
        config: name of its configuration class in transformers.
        model: name of its model class in transformers.
        section: where the model's own configuration lies in its config.json; None: the whole file.
        wrap: the class that runs the model here.
        renamed: names of tensors in published folders, pattern to replacement, beside those that
            transformers changes for this model by itself (its conversion_mapping.py).
        copies: tensors that published folders may lack, each with the tensor that it equals.
    """

    config: str
    model: str
    wrap: type[Backbone]
    section: str | None = None
    renamed: Mapping[str, str] = field(default_factory=lambda: _IN_A_PIPELINE)
    copies: Mapping[str, str] = field(default_factory=lambda: _POINT_EMBEDDING)


FAMILIES = {
    "sam2_video": Family("Sam2VideoConfig", "Sam2VideoModel", Backbone),
    "edgetam_video": Family("EdgeTamVideoConfig", "EdgeTamVideoModel", EdgeTamBackbone),
    "sam3_tracker_video": Family("Sam3TrackerVideoConfig", "Sam3TrackerVideoModel", Sam3Backbone),
    # The published SAM 3, a detector and a tracker over one image encoder: the tracker of it.
    "sam3_video": Family(
        "Sam3TrackerVideoConfig", "Sam3TrackerVideoModel", Sam3Backbone, section="tracker_config"
    ),
}
"""By the ``model_type`` that config.json names."""
_UNBUILDABLE = "transformers cannot build a model from it"
LARGEST_NUMBER = 2**16
"""In a configuration: no width, side or count of these models comes near it."""


def build_backbone(config: Any) -> Backbone:
    """A backbone with random weights.

    Args:
        config: of a class that ``FAMILIES`` names (see ``presets``).
    """
    import transformers

    family = FAMILIES[config.model_type]
    backbone = family.wrap(getattr(transformers, family.model)(config))
    backbone.share_point_embedding()
    return backbone


def backbone_of(document: Mapping[str, Any], where: Path) -> Backbone:
    """A backbone with random weights, from the content of a config.json.

    Args:
        document: the configuration, ``model_type`` included.
        where: the file it was read from, for messages.

    Raises:
        SchemaMismatch: another kind of model, or parts that do not fit each other.
        MissingInput: it needs a package that is not installed.
        CorruptInput: transformers cannot make a model of the configuration.
    """
    return _built(_config(document, where), where)


def _built(config: Any, where: Path) -> Backbone:
    """As ``backbone_of``, from a configuration of transformers."""
    try:
        with model_errors(where, _UNBUILDABLE):
            return build_backbone(config)
    except ConfigError as error:
        raise SchemaMismatch(error.message, where=where, hint=error.hint) from error


def _config(document: Mapping[str, Any], where: Path) -> Any:
    """The configuration of transformers for the content of a config.json."""
    import transformers

    family = _family(document, where)
    family.wrap.require_packages(document, where)
    _require_small(document, where)
    refuse_kernels(document, where)
    if family.section is not None:
        section = document.get(family.section)
        if not isinstance(section, Mapping):
            raise SchemaMismatch(f"no section {family.section!r}", where=where)
        document = section
    with model_errors(where, _UNBUILDABLE):
        return getattr(transformers, family.config).from_dict(dict(document))


def _family(document: Mapping[str, Any], where: Path) -> Family:
    """The kind of model that a config.json names."""
    kind = document.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        known = " or ".join(repr(name) for name in FAMILIES)
        raise SchemaMismatch(f"backbone of model_type {kind!r}, expected {known}", where=where)
    return FAMILIES[kind]


def _require_small(value: Any, where: Path, key: str = "") -> None:
    """Raise ``SchemaMismatch`` for a number that only takes memory, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _require_small(inner, where, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            _require_small(inner, where, key)
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise SchemaMismatch(
            f"{key} is larger than {LARGEST_NUMBER}, as in no model of this kind",
            where=where,
            hint="use the config.json that was written with the weights",
        )


def own_image_size(folder: Path) -> int:
    """Side in pixels of the frames that a folder's model takes, from its config.json alone.

    Raises:
        TglError: as :func:`load_backbone`.
    """
    return int(_config(read_config(folder), folder / CONFIG_NAME).image_size)


def outline_backbone(folder: Path) -> Backbone:
    """As :func:`load_backbone`, but without weights, which need not be there.

    On torch's meta device if that is the default one, else with random weights.

    Raises:
        TglError: as :func:`load_backbone` for config.json.
    """
    return backbone_of(read_config(folder), folder / CONFIG_NAME)


def load_backbone(folder: Path | str, *, image_size: int = 0) -> Backbone:
    """A backbone from a folder that ``save_pretrained`` wrote; nothing is downloaded.

    Weights that transformers ignores by its class's own design, such as the detector's beside
    SAM 3's tracker, may be there; ``Sam2VideoModel`` and ``EdgeTamVideoModel`` ignore none.

    Args:
        folder: with config.json and weights.
        image_size: S in pixels, for the same weights on frames of another size: half the side is
            a quarter of the arithmetic. 0: as config.json has it.

    Raises:
        ConfigError: the model cannot work on frames of this size; the nearest ones are named.
        MissingInput: the folder, config.json or model.safetensors (or a shard) does not exist.
        SchemaMismatch: another kind of model, or keys or sizes that do not fit; all are listed.
        CorruptInput: the configuration is not JSON, or the weights are damaged.
    """
    import transformers

    folder = Path(folder)
    document, where = read_config(folder), folder / CONFIG_NAME
    family = _family(document, where)
    config = _config(document, where)
    if image_size:
        with model_errors(where, _UNBUILDABLE):
            family.wrap.resize(config, image_size)
    model = load_published(
        getattr(transformers, family.model),
        config,
        folder,
        outline=lambda: _built(config, where).sam,
        renamed=family.renamed,
        copies=family.copies,
    )
    return family.wrap(model).train()  # as built: from_pretrained leaves it in eval mode
