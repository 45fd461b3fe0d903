"""Image processors, and processors of images and text, in the versions that need no torchvision."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from transformers import AutoConfig, AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from schemas.errors import MissingInput
from stages.core.model.loading.families import wrong_family
from stages.core.model.loading.hub import model_folder
from stages.core.model.loading.pretrained import load_pretrained, loading_errors

_FILES = ("preprocessor_config.json", "processor_config.json")
_PIL = "pil"
_VIDEO = "video_processor"


def load_config(name: str, families: Collection[str], *, option: str) -> Any:
    """The configuration of a model that must be of certain families.

    Args:
        name: a folder or a hub id.
        families: values of ``model_type``.
        option: the option that named the model, for messages.

    Raises:
        ConfigError: a model of another family.
        TglError: as :func:`load_pretrained`.
    """
    config = load_pretrained(AutoConfig, name, option=option)
    if config.model_type not in families:
        raise wrong_family(name, config.model_type, families, option)
    return config


def load_image_processor(name: str, *, option: str, backend: str = _PIL) -> Any:
    """Load a model's own image processor, the implementation with Pillow where there is one.

    Args:
        name: a folder or a hub id.
        option: the option that named the model, for messages.
        backend: of a family without one for Pillow, the other; transformers falls back on what
            there is.

    Raises:
        MissingInput: a model without its settings, or one that needs torchvision.
        CorruptInput: transformers cannot load it.
    """
    _require_settings(name, option)
    return load_pretrained(AutoImageProcessor, name, option=option, backend=backend)


def load_processor(name: str, *, option: str) -> Any:
    """Load a model's own processor of images and text, with its chat template if it has one.

    Models that also take videos are given frames as images here, so that their processor of videos,
    which needs torchvision, is left out.

    Args:
        name: a folder or a hub id.
        option: the option that named the model, for messages.

    Raises:
        MissingInput: a model without its settings, or one that needs torchvision.
        CorruptInput: transformers cannot load it.
    """
    _require_settings(name, option)
    config = load_pretrained(AutoConfig, name, option=option)
    kind = PROCESSOR_MAPPING.get(type(config), None)
    if kind is None or getattr(kind, "is_dummy", False) or _VIDEO not in kind.get_attributes():
        return load_pretrained(AutoProcessor, name, option=option, backend=_PIL)
    parts = {
        "image_processor": load_image_processor(name, option=option),
        "tokenizer": load_pretrained(AutoTokenizer, name, option=option),
        _VIDEO: None,
    }
    with loading_errors(name, option):
        folder = str(model_folder(name, option=option))
        settings, others = kind.get_processor_dict(folder, local_files_only=True)
        arguments = [parts[attribute] for attribute in kind.get_attributes()]
        return _without_videos(kind).from_args_and_dict(arguments, settings, **others)


def _without_videos(kind: Any) -> Any:
    """A kind of processor that may be made without its processor of videos."""

    class WithoutVideos(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == _VIDEO and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    WithoutVideos.__name__ = kind.__name__  # transformers finds settings of a class by its name
    return WithoutVideos


def _require_settings(name: str, option: str) -> None:
    folder = model_folder(name, option=option)
    if not any((folder / file).is_file() for file in _FILES):
        raise MissingInput(
            f"has no {_FILES[0]}", where=folder, hint="copy or download the model again"
        )
