"""A folder of PNGs per object: `<video>/<object>/<frame>.png`, 0 and 255, one for every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from schemas.layouts import MASK_SUFFIX, safe_name
from stages.core.index.masks import Track
from stages.core.media.mask_png import encode_mask
from stages.core.media.rle import decode
from stages.tools.export_masks.formats.rows import FilePerVideo, mask_row
from stages.tools.export_masks.records import ExportVideo, MaskRow


class PngPerObject(FilePerVideo):
    """A folder per object."""

    lost = ""

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Write the PNGs of all objects, black ones too."""
        rows, files = [], []
        empty = encode_mask(np.zeros((video.height, video.width), bool))
        for number, (known, track) in enumerate(zip(video.objects, tracks, strict=True)):
            name = safe_name(known.object_id, where=f"video {video.video_id}")
            folder = root / video.video_id / name
            folder.mkdir(parents=True, exist_ok=True)
            for frame, frame_name in enumerate(video.frame_names):
                path, content = folder / f"{frame_name}{MASK_SUFFIX}", empty
                if frame in track:
                    mask = decode(track[frame], where=path).astype(bool)
                    content = encode_mask(mask)
                    rows.append(mask_row(number, frame, track[frame]))
                path.write_bytes(content)
                files.append(path)
        return rows, files


FORMAT = PngPerObject()
