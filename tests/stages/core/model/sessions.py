"""transformers' own tracking of prompted objects, for comparison with ours."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from transformers import (
    EdgeTamVideoInferenceSession,
    Sam2VideoInferenceSession,
    Sam3TrackerVideoInferenceSession,
)

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.records import Prompts

Answers = dict[int, tuple[Tensor, Tensor]]
"""frame -> gated masks (objects, s, s) and object scores (objects,)."""
SESSIONS = {
    "sam2_video": Sam2VideoInferenceSession,
    "edgetam_video": EdgeTamVideoInferenceSession,
    "sam3_tracker_video": Sam3TrackerVideoInferenceSession,
}
MEMORY_DTYPE = {
    "sam2_video": torch.bfloat16,
    "sam3_tracker_video": torch.bfloat16,
    "edgetam_video": None,
}
"""SAM 2's session keeps memories in bfloat16 (without that the difference is 5e-5), EdgeTAM's as
they come."""


class Session:
    """transformers' own tracking of some objects through one clip."""

    def __init__(self, backbone: Backbone, pixels: Tensor, objects: int):
        size = backbone.image_size
        kind = SESSIONS[backbone.sam.config.model_type]
        self.objects = objects
        self._model = backbone.sam
        self._session = kind(video=pixels, video_height=size, video_width=size, dtype=torch.float32)
        for row in range(objects):
            self._session.obj_id_to_idx(row + 1)

    def prompt(self, frame: int, prompts: Prompts, *, reverse: bool = False) -> Answers:
        """Give prompts for all objects and read the frame."""
        for row in range(self.objects):
            if prompts.mask is not None:
                self._session.add_mask_inputs(row, frame, prompts.mask[row][None, None])
            else:
                self._session.add_point_inputs(row, frame, _clicks(prompts, row))
        self._session.obj_with_new_inputs = list(range(1, self.objects + 1))
        return _answers([self._model(self._session, frame_idx=frame, reverse=reverse)])

    def track(self, start: int, *, reverse: bool = False) -> Answers:
        """Track to the end of the clip, or to its beginning."""
        return _answers(
            self._model.propagate_in_video_iterator(
                self._session, start_frame_idx=start, reverse=reverse
            )
        )


def _clicks(prompts: Prompts, row: int) -> dict[str, Tensor]:
    """One object's points, after the corners of its box, as transformers' processor does it."""
    points, labels = [], []
    if prompts.boxes is not None:
        points.append(prompts.boxes[row].view(1, 1, 2, 2))
        labels.append(torch.tensor([[[2, 3]]]))
    if prompts.points is not None and prompts.labels is not None:
        points.append(prompts.points[row][None, None])
        labels.append(prompts.labels[row][None, None])
    return {"point_coords": torch.cat(points, 2), "point_labels": torch.cat(labels, 2)}


def _answers(outs: Iterable[object]) -> Answers:
    return {
        out.frame_idx: (out.pred_masks[:, 0].clone(), out.object_score_logits.flatten().clone())
        for out in outs
    }
