"""Features and prompts of a backbone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.records import Prompts


def test_features_are_indexed_joined_and_rebuilt(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        features = backbone.encode(pixels)
    joined = FrameFeatures.cat([features[:2], features[[2, 3, 4, 5]]])
    assert len(joined) == 6
    assert all(torch.equal(joined.as_tensors()[n], t) for n, t in features.as_tensors().items())
    rebuilt = FrameFeatures.from_tensors(features.as_tensors())
    assert torch.equal(rebuilt.coarse, features.coarse)
    assert features.nbytes == 6 * features[:1].nbytes
    with pytest.raises(ValueError, match="fine has shape"):
        FrameFeatures(features.coarse, features.middle, features.coarse, features.position)


def test_pixels_of_another_size_are_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 3, 64, 64\)"):
        backbone.encode(torch.zeros(1, 3, 32, 32))


def test_a_mask_excludes_clicks() -> None:
    mask, box = torch.zeros(1, 64, 64), torch.zeros(1, 4)
    with pytest.raises(ValueError, match="either a mask"):
        Prompts(mask=mask, boxes=box)
    with pytest.raises(ValueError, match="either a mask"):
        Prompts()
    with pytest.raises(ValueError, match="come together"):
        Prompts(points=torch.zeros(1, 1, 2))
