"""Protocols of the benchmarks that use J and F: the frames that each scores.

- mevis: every frame of the video.
- davis: objects by number, without the first frame (it is given) and the last.
- ref-davis: objects by number, for the sentences of each of four annotators, every frame; a number
  means the same object in prediction and truth, objects are not matched by overlap. As in DAVIS's
  unsupervised task, whose code scores Ref-DAVIS, void pixels are not judged.
- ref-youtube-vos: the frames with ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stages.score.cases import Case, VideoCases
from stages.score.truth.label_folder import VOID_TRACK

LABELLED = ("davis", "ref-davis")
ANNOTATORS = ("anno_0", "anno_1", "anno_2", "anno_3")


def choose_frames(protocol: str, videos: Sequence[VideoCases]) -> list[VideoCases]:
    """Return the cases with the frames that a protocol scores, which may be none."""
    return [_video(protocol, video) for video in videos]


def drop_empty(videos: Sequence[VideoCases]) -> tuple[list[VideoCases], list[Case]]:
    """Split into videos with the cases that have frames to score, and the cases without."""
    kept = [
        replace(video, cases=tuple(case for case in video.cases if case.frames)) for video in videos
    ]
    return kept, [case for video in videos for case in video.cases if not case.frames]


def _video(protocol: str, video: VideoCases) -> VideoCases:
    cases = video.cases
    if protocol == "davis":
        cases = tuple(replace(case, frames=case.frames[1:-1]) for case in cases)
    elif protocol == "ref-davis":
        cases = tuple(_annotated(case, name) for name in ANNOTATORS for case in cases)
    elif protocol == "ref-youtube-vos":
        reader = video.tracks.open()
        tracks = {track for case in cases for track in case.tracks}
        known = set().union(*(reader.frames(track) for track in tracks))
        cases = tuple(
            replace(case, frames=tuple(frame for frame in case.frames if frame in known))
            for case in cases
        )
    return replace(video, cases=cases)


def _annotated(case: Case, annotator: str) -> Case:
    """Return the case of the same object as predicted from the sentence of one annotator."""
    return replace(
        case,
        expression_id=f"{annotator}-{case.expression_id}",
        folder=f"{annotator}/{case.folder}",
        void=VOID_TRACK,
        group=annotator,
    )
