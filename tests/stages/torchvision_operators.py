"""torchvision in a process of its own, beside a torch that its wheel was not built for.

SAM 3's detector, timm and the processors of many models import torchvision. There is no wheel of it
for the CPU build of torch: PyPI's imports only where the operators of its binary part exist, and
one that does not import breaks every model of transformers. So `make install` puts the wheel into a
folder that Python does not search, and the modules ``test_*_torchvision.py`` run in one process
(see ``tests/test_torchvision.py``) that searches it, after this module has declared the operators.
Declared is not implemented: a test that calls one fails.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

FOLDER = Path(sys.prefix) / "torchvision"
"""Where `make install` puts the wheels."""
VARIABLE = "TGL_TEST_TORCHVISION"
"""Set in the process that runs the tests of torchvision."""
_BOX_ARGUMENTS = "Tensor input, Tensor rois, float spatial_scale, int height, int width"
_CONV_ARGUMENTS = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int stride_h, "
    "int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, "
    "int offset_groups, bool use_mask"
)
_GRAD_ARGUMENTS = (
    "Tensor grad, Tensor rois, float spatial_scale, int height, int width, int batch, "
    "int channels, int input_height, int input_width"
)
_FIVE = "(Tensor, Tensor, Tensor, Tensor, Tensor)"
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align({_BOX_ARGUMENTS}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_align_backward({_GRAD_ARGUMENTS}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool({_BOX_ARGUMENTS}) -> (Tensor, Tensor)",
    f"_roi_pool_backward({_GRAD_ARGUMENTS}, Tensor argmax) -> Tensor",
    f"ps_roi_align({_BOX_ARGUMENTS}, int sampling_ratio) -> (Tensor, Tensor)",
    f"_ps_roi_align_backward({_GRAD_ARGUMENTS}, Tensor mapping, int sampling_ratio) -> Tensor",
    f"ps_roi_pool({_BOX_ARGUMENTS}) -> (Tensor, Tensor)",
    f"_ps_roi_pool_backward({_GRAD_ARGUMENTS}, Tensor mapping) -> Tensor",
    f"deform_conv2d({_CONV_ARGUMENTS}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {_CONV_ARGUMENTS}) -> {_FIVE}",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
)
_KEPT: list[torch.library.Library] = []
"""A library's operators go when the object does."""


def missing(packages: Sequence[str]) -> str | None:
    """Return why packages cannot be tested here; None where they can."""
    lacking = [
        name
        for name in packages
        if not (installed(name) or (FOLDER / name / "__init__.py").is_file())
    ]
    return f"make install did not find {' and '.join(lacking)}" if lacking else None


def folders(packages: Sequence[str]) -> list[Path]:
    """Folders to search for packages beside those of the environment."""
    return [] if all(map(installed, packages)) else [FOLDER]


def installed(package: str) -> bool:
    """Return whether the environment itself has a package."""
    return importlib.util.find_spec(package) is not None


def require() -> None:
    """Skip a test module unless it runs in the process for torchvision; called after its imports.

    Without torchvision transformers gives placeholders for the classes that need it.
    """
    if VARIABLE not in os.environ:
        pytest.skip("runs in tests/test_torchvision.py", allow_module_level=True)


def declare() -> None:
    """Declare the operators, unless torchvision's own binary part fits this torch."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    try:
        for binary in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(str(binary))
            return
    except OSError:
        pass
    library = torch.library.Library("torchvision", "DEF")
    for schema in OPERATORS:
        library.define(schema)
    _KEPT.append(library)


if VARIABLE in os.environ:  # loaded with `-p` before any test imports transformers
    declare()
