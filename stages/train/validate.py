"""Validation while training: J on a held-out index, routed by its annotated moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from stages.core.index.index import Expression, Index, Video
from stages.core.index.texts import TextStore
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig
from stages.train.data.dataset import referent_masks
from stages.train.data.features import FeatureSource

Score = dict[str, float]
"""`J`, and `relevance` (share of frames whose relevance is right) if moments are used."""


@dataclass(frozen=True)
class Validator:
    """Scores a model on some sentences of an index.

    A model trained without moments gets none here either: all its frames are guided.

    Attributes:
        size: S, side at which masks are compared.
    """

    index: Index
    texts: TextStore
    features: FeatureSource
    config: TrainConfig
    size: int

    @torch.no_grad()
    def __call__(self, model: TglModel, accelerator: Accelerator) -> Score:
        """The mean J over sentences of the mean over frames; 1 where truth and mask are empty.

        Processes divide the videos among them and return the same result.
        """
        training = model.training
        model.eval()
        rows: list[tuple[int, float, float]] = []
        videos = list(self._chosen().items())
        for video_id, chosen in videos[accelerator.process_index :: accelerator.num_processes]:
            rows += self._score(model, self.index.videos[video_id], chosen, accelerator.device)
        model.train(training)
        if accelerator.num_processes > 1:
            rows = gather_object(rows)
        _, ious, right = zip(*sorted(rows), strict=True)
        score = {"J": float(np.mean(ious))}
        return score | {"relevance": float(np.mean(right))} if self.config.reads_moments else score

    def _chosen(self) -> dict[str, list[tuple[int, Expression]]]:
        """Evenly spaced sentences by video, with their numbers."""
        expressions = self.index.expressions
        count = min(self.config.valid_expressions, len(expressions))
        by_video: dict[str, list[tuple[int, Expression]]] = defaultdict(list)
        for number in np.arange(count) * len(expressions) // count:
            expression = expressions[number]
            by_video[expression.video_id].append((int(number), expression))
        return by_video

    def _score(
        self,
        model: TglModel,
        video: Video,
        chosen: Sequence[tuple[int, Expression]],
        device: torch.device,
    ) -> list[tuple[int, float, float]]:
        """(number, J, share of right relevance) of each of a video's sentences."""
        count = min(self.config.valid_frames, video.num_frames)
        frames = np.arange(count) * video.num_frames // count
        text = TextBatch.of([self.texts.get(expression.text) for _, expression in chosen])
        relevant = torch.from_numpy(
            np.stack([self._relevant(expression, frames) for _, expression in chosen])
        ).to(device)
        out = model.clip(
            self.features.of_video(video, frames),
            text.to(device),
            relevant,
            times=torch.from_numpy(frames).to(device),
            mdp=self.config.mdp,
        )
        masks = self._full_size(out.mask_logits, out.object_score_logits)
        right = ((out.relevance_logits > 0) == relevant).float().mean(1).tolist()
        return [
            (number, self._iou(masks[row], video, expression, frames), right[row])
            for row, (number, expression) in enumerate(chosen)
        ]

    def _relevant(self, expression: Expression, frames: np.ndarray) -> np.ndarray:
        """Bool (T,): t in M+ for the frames; all True if moments are unknown or not used."""
        known = self.index.moments(*expression.key) or not expression.anno_ids
        if self.config.reads_moments and known:
            return self.index.relevant(*expression.key)[frames]
        return np.ones(len(frames), dtype=bool)

    def _full_size(self, logits: Tensor, object_score: Tensor) -> np.ndarray:
        """Bool (E, T, S, S) from logits (E, T, s, s), empty where no object is visible."""
        large = F.interpolate(
            logits.float(), size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        return ((large > 0) & (object_score > 0)[:, :, None, None]).cpu().numpy()

    def _iou(
        self, masks: np.ndarray, video: Video, expression: Expression, frames: np.ndarray
    ) -> float:
        """Mean IoU of masks (T, S, S) with all referents of a sentence."""
        truth = referent_masks(self.index, video, expression.anno_ids, frames, self.size) > 0
        intersection = (masks & truth).sum(axis=(1, 2))
        union = (masks | truth).sum(axis=(1, 2))
        return float(np.where(union > 0, intersection / np.maximum(union, 1), 1.0).mean())
