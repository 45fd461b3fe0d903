"""Files of a clip and JSON documents of a split; equal clips give equal bytes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from schemas.layouts import MEVIS_EXPRESSIONS, MEVIS_MASKS, MOMENTS_FILE, frame_path
from stages.core.media.ffmpeg import write_h264
from stages.tools.toy.clip import ToyClip

JPEG_QUALITY = 95
VIDEO_QUALITY = 12
"""x264's constant rate factor: nearly lossless, so that extracted frames still fit the masks."""
MOMENTS_FORMAT = {"format": "tgl-moments", "version": 1, "frame_unit": "index"}
OBJECTS_FORMAT = {"format": "tgl-toy-objects", "version": 1}
VIDEOS_FOLDER = "videos"
OBJECTS_FILE = "objects.json"


def frame_names(frames: int) -> list[str]:
    """Names of the frames as MeViS writes them: 00000, 00001, ..."""
    return [f"{frame:05d}" for frame in range(frames)]


def write_frames(clip: ToyClip, root: Path) -> list[Path]:
    """Write the frames as JPEG below `root`/JPEGImages/<video>; returns the files."""
    paths = [frame_path(root, clip.video_id, name) for name in frame_names(len(clip.frames))]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, frame in zip(paths, clip.frames, strict=True):
        Image.fromarray(frame).save(path, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return paths


def write_video(clip: ToyClip, root: Path, fps: int) -> Path:
    """Write the clip as mp4 to `root`/videos/<video>.mp4.

    Raises:
        TglError: ffmpeg cannot write it.
        MissingInput: ffmpeg is not found.
    """
    path = root / VIDEOS_FOLDER / f"{clip.video_id}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    _, height, width, _ = clip.frames.shape
    write_h264(path, clip.frames, (height, width), fps, VIDEO_QUALITY)
    return path


def describe(clip: ToyClip, vid_id: int, fps: int) -> dict[str, Any]:
    """Entries of a clip in the split's documents, by document; see `write_documents`.

    Args:
        vid_id: number of the video in its split, as MeViS counts them.
    """
    expressions: dict[str, Any] = {}
    moments: dict[str, Any] = {}
    for number, expression in enumerate(clip.expressions):
        numbers = sorted(expression.moments)
        expressions[str(number)] = {
            "exp": expression.text,
            "obj_id": numbers,
            "anno_id": [int(clip.anno_id(number)) for number in numbers],
        }
        spans = {anno: [list(span) for span in s] for anno, s in clip.moments(expression).items()}
        moments[str(number)] = {"moments": spans}
    return {
        "meta": {
            "vid_id": vid_id,
            "frames": frame_names(len(clip.frames)),
            "expressions": expressions,
        },
        "masks": {anno: [_rle(mask) for mask in track] for anno, track in clip.masks.items()},
        "moments": {"fps": float(fps), "expressions": moments},
        "objects": _describe_objects(clip),
    }


def write_documents(root: Path, clips: dict[str, dict[str, Any]]) -> None:
    """Write a split's JSON documents from the entries of its clips, by video id in order.

    meta_expressions.json and mask_dict.json are those of MeViS (no-target expressions as in its
    second version: empty id lists), moments.json is the interchange form of docs/formats,
    objects.json lists look-alikes and actions.
    """
    masks = {anno: track for clip in clips.values() for anno, track in clip["masks"].items()}
    objects = {anno: obj for clip in clips.values() for anno, obj in clip["objects"].items()}
    videos = {name: clip["meta"] for name, clip in clips.items()}
    moments = {name: clip["moments"] for name, clip in clips.items()}
    _write_json(root / MEVIS_EXPRESSIONS, {"videos": videos})
    _write_json(root / MEVIS_MASKS, masks)
    _write_json(root / MOMENTS_FILE, {**MOMENTS_FORMAT, "videos": moments})
    _write_json(root / OBJECTS_FILE, {**OBJECTS_FORMAT, "objects": objects})


def _describe_objects(clip: ToyClip) -> dict[str, Any]:
    """Video, number, category and actions of each object, by annotation id."""
    return {
        clip.anno_id(number): {
            "video": clip.video_id,
            "obj_id": number,
            "category": obj.appearance.category,
            "actions": [
                {"kind": action.kind, "start": action.start, "end": action.end}
                for action in obj.actions
            ],
        }
        for number, obj in enumerate(clip.scene.objects)
    }


def _rle(mask: np.ndarray) -> dict[str, Any] | None:
    """COCO RLE of a mask (H,W) with text counts, None where nothing is visible."""
    if not mask.any():
        return None
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(length) for length in rle["size"]], "counts": rle["counts"].decode()}


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
