"""The weights that a backbone tracks with, kept as they were before TGL trained them on.

Training makes the decoder and the memory draw what a sentence means; on the toy set they then track
an object from a prompt less well than before (docs/model.md). The image encoder is frozen, so both
share its features.
"""

from __future__ import annotations

import copy

from torch import nn

from stages.core.model.backbones.backbone import Backbone

_SEPARATOR = "/"
"""Stands for the dots of a name, which a parameter cannot have."""


class OriginalWeights(nn.Module):
    """Frozen copies of the parameters of a backbone that may be trained.

    Args:
        backbone: with the weights to keep.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        for name, parameter in backbone.trainable().items():
            kept = nn.Parameter(parameter.detach().clone(), requires_grad=False)
            self.register_parameter(name.replace(".", _SEPARATOR), kept)

    def tracker(self, backbone: Backbone) -> Backbone:
        """A backbone with these weights, which shares the image encoder of the trained one.

        Args:
            backbone: of the same model, trained or not.

        Returns:
            in eval mode.
        """
        encoder = backbone.image_encoder
        tracker = copy.deepcopy(backbone, {id(encoder): encoder})
        own = dict(tracker.named_parameters())
        for name, kept in self.named_parameters():
            parameter = own[name.replace(_SEPARATOR, ".")]
            parameter.requires_grad_(False)
            parameter.copy_(kept)
        if backbone.compiled is not None:  # torch's copies of a module are not compiled
            tracker.compile_parts(**backbone.compiled)
        return tracker.eval()
