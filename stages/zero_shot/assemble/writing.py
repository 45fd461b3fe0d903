"""Writing the masks of one video: of its sentences, and of single objects where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput
from schemas.layouts import MASKS_TABLE, object_mask_path
from schemas.parquet import concatenate, rows_of
from schemas.tables import OBJECTS, PROPAGATION
from schemas.vocabulary import EMPTY, LANGUAGE, PROPAGATED
from stages.core.index.index import Expression, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.masks import MaskStore, Track
from stages.core.index.propagation_rows import PropagationRows
from stages.core.media.mask_png import encode_mask
from stages.core.media.rle import decode
from stages.zero_shot.assemble.accepted import Accepted
from stages.zero_shot.assemble.config import NO_OBJECTS, PALETTE, AssembleConfig, AssembleInputs
from stages.zero_shot.assemble.object_images import scored_palette_png


@dataclass(frozen=True)
class Sentence:
    """A sentence with the tracks that were accepted for it, maybe none."""

    expression: Expression
    accepted: tuple[Accepted, ...]


@dataclass(frozen=True)
class Job:
    """One video whose masks are to be written.

    Attributes:
        root: folder of the artifact.
        threads: that decode frames, with `--masks mdp`.
        precision: of the network, the same.
        weights: digest of the backbone, the same; None without one.
    """

    config: AssembleConfig
    inputs: AssembleInputs
    root: Path
    video: Video
    sentences: tuple[Sentence, ...]
    threads: int
    precision: str
    weights: str | None


@dataclass(frozen=True)
class Referent:
    """The masks of one accepted track, as they are written.

    Attributes:
        masks: by frame.
        scores: float32 (T,), object scores of the tracker; NaN where it gave none.
    """

    masks: Track
    scores: np.ndarray


ReferentKey = tuple[str, bytes]
"""Track and moment: sentences that accept a track for equal moments share its masks."""


@dataclass(frozen=True)
class WrittenVideo:
    """Tables and files of a video.

    Attributes:
        rows: of the propagation table.
        objects: of the objects table.
        files: all images.
    """

    rows: pa.Table
    objects: pa.Table
    files: tuple[Path, ...]


def key_of(track: Accepted) -> ReferentKey:
    """The key of an accepted track."""
    return track.anno_id, np.packbits(track.moment).tobytes()


def tracked_masks(job: Job) -> dict[str, Track]:
    """Read the masks of all accepted tracks of a video, by anno id.

    Raises:
        CorruptInput: a mask has another size than the video.
    """
    store = MaskStore(job.inputs.tracks / MASKS_TABLE)
    try:
        names = {track.anno_id for sentence in job.sentences for track in sentence.accepted}
        found = {name: store.frames_of(name) for name in sorted(names)}
    finally:
        store.close()
    wanted = [job.video.height, job.video.width]
    for name, track in found.items():
        for frame, rle in track.items():
            if list(rle["size"]) != wanted:
                raise CorruptInput(
                    f"the mask of track {name} on frame {frame} is "
                    f"{rle['size'][1]}x{rle['size'][0]}, the video {wanted[1]}x{wanted[0]}",
                    where=job.inputs.tracks,
                )
    return found


def write_tracked(job: Job) -> WrittenVideo:
    """Write the masks of a video from its tracks as they are."""
    masks = tracked_masks(job)
    unknown = np.full(job.video.num_frames, np.nan, np.float32)
    referents = {
        key_of(track): Referent(masks[track.anno_id], unknown)
        for sentence in job.sentences
        for track in sentence.accepted
    }
    return write_video(job, referents)


def write_video(job: Job, referents: Mapping[ReferentKey, Referent]) -> WrittenVideo:
    """Write the masks of every sentence in every frame; black where nothing is accepted.

    Args:
        referents: of all accepted tracks of the job.
    """
    images = _ObjectImages(job)
    areas = np.zeros((len(job.sentences), job.video.num_frames), np.int64)
    with ThreadPoolExecutor(1) as thread:
        writer = MaskWriter(job.root, thread)
        for frame in range(job.video.num_frames):
            shown = {
                key: decode(referent.masks[frame], where=f"{key[0]}, frame {frame}").astype(bool)
                for key, referent in referents.items()
                if frame in referent.masks
            }
            for row, sentence in enumerate(job.sentences):
                own = [shown.get(key_of(track)) for track in sentence.accepted]
                mask = _union(own, job.video)
                areas[row, frame] = int(mask.sum())
                writer.write(job.video, sentence.expression, frame, mask)
                images.write(sentence, frame, own)
        writer.wait()
    files = [f for sentence in job.sentences for f in writer.take_files(sentence.expression)]
    return WrittenVideo(
        concatenate(_propagation(job, referents, areas), PROPAGATION),
        rows_of(_objects(job, referents), OBJECTS),
        (*files, *images.files),
    )


def _union(masks: Sequence[np.ndarray | None], video: Video) -> np.ndarray:
    """Unite masks, bool (H, W) each; black without any."""
    total = np.zeros((video.height, video.width), bool)
    for mask in masks:
        if mask is not None:
            total |= mask
    return total


@dataclass
class _ObjectImages:
    """Writes the images of single objects, if the settings ask for them.

    Attributes:
        files: written so far.
    """

    job: Job
    files: list[Path] = field(default_factory=list)

    def write(self, sentence: Sentence, frame: int, masks: Sequence[np.ndarray | None]) -> None:
        """Write the objects of a sentence in one frame; masks are in the order of its tracks."""
        style = self.job.config.objects
        if style == NO_OBJECTS:
            return
        video = self.job.video
        size = (video.height, video.width)
        place = (self.job.root, video.video_id, sentence.expression.expression_id)
        name = video.frame_names[frame]
        if style == PALETTE:
            scores = [track.score for track in sentence.accepted]
            named = f"video {video.video_id}, expression {sentence.expression.expression_id}"
            content = scored_palette_png(masks, scores, size, where=named)
            self._save(object_mask_path(*place, name), content)
            return
        for track, mask in zip(sentence.accepted, masks, strict=True):
            shown = np.zeros(size, bool) if mask is None else mask
            self._save(object_mask_path(*place, track.anno_id, name), encode_mask(shown))

    def _save(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a hard link into the present artifact
        path.write_bytes(content)
        self.files.append(path)


def _propagation(
    job: Job, referents: Mapping[ReferentKey, Referent], areas: np.ndarray
) -> Iterator[pa.Table]:
    """Rows of the propagation table for each sentence."""
    frames = range(job.video.num_frames)
    for row, sentence in enumerate(job.sentences):
        relevance = np.full(len(frames), np.nan, np.float32)
        scores, moment = relevance.copy(), np.zeros(len(frames), bool)
        for track in sentence.accepted:
            relevance = np.fmax(relevance, track.relevance)
            scores = np.fmax(scores, referents[key_of(track)].scores)
            moment |= track.moment
        routes = [LANGUAGE if inside else PROPAGATED for inside in moment]
        name = sentence.expression.expression_id
        yield PropagationRows(
            job.video.video_id,
            [name] * len(frames),
            frames,
            routes if sentence.accepted else [EMPTY] * len(frames),
            relevance,
            scores,
            areas[row],
        ).table(unknown_relevance=True)


def _objects(job: Job, referents: Mapping[ReferentKey, Referent]) -> Iterator[dict[str, object]]:
    """Rows of the objects table."""
    for sentence in job.sentences:
        for number, track in enumerate(sentence.accepted, start=1):
            yield {
                "video_id": job.video.video_id,
                "expression_id": sentence.expression.expression_id,
                "anno_id": track.anno_id,
                "number": number,
                "score": track.score,
                "visible_frames": len(referents[key_of(track)].masks),
            }
