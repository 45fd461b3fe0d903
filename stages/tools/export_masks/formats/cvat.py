"""CVAT for images 1.1: `<video>.xml` with a run length of each object on each frame.

The format: https://docs.cvat.ai/docs/other/xml_format. CVAT has no tracks of masks, so an
attribute `track_id` says which masks are of one object. Upload the frames of a video as a task of
images, with a label for each one in the file that has this attribute as text, then the XML as
annotations.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from schemas.directories import write_text_atomic
from stages.core.index.masks import Track
from stages.core.media.rle import decode
from stages.tools.export_masks.formats.rows import FilePerVideo, mask_row
from stages.tools.export_masks.records import ExportVideo, MaskRow


class Cvat(FilePerVideo):
    """A file per video."""

    lost = ""

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Write the XML file of a video."""
        document = ElementTree.Element("annotations")
        ElementTree.SubElement(document, "version").text = "1.1"
        document.append(_task(video))
        rows = []
        for frame, name in enumerate(video.frame_names):
            image = ElementTree.SubElement(
                document,
                "image",
                id=str(frame),
                name=f"{name}{video.frame_suffix}",
                width=str(video.width),
                height=str(video.height),
            )
            for number, (known, track) in enumerate(zip(video.objects, tracks, strict=True)):
                if frame in track:
                    row = mask_row(number, frame, track[frame])
                    pixels = decode(track[frame], where=f"video {video.video_id}, frame {frame}")
                    element = _mask(row, pixels, known.label)
                    attribute = ElementTree.SubElement(element, "attribute", name="track_id")
                    attribute.text = known.object_id
                    image.append(element)
                    rows.append(row)
        path = root / f"{video.video_id}.xml"
        ElementTree.indent(document)
        text = ElementTree.tostring(document, encoding="unicode", xml_declaration=False)
        write_text_atomic(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
        return sorted(rows), [path]


def _task(video: ExportVideo) -> ElementTree.Element:
    """The task with its labels, each with an attribute for the track."""
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    ElementTree.SubElement(task, "name").text = video.video_id
    ElementTree.SubElement(task, "size").text = str(len(video.frame_names))
    ElementTree.SubElement(task, "mode").text = "annotation"
    labels = ElementTree.SubElement(task, "labels")
    for name in dict.fromkeys(known.label for known in video.objects):
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        attributes = ElementTree.SubElement(label, "attributes")
        attribute = ElementTree.SubElement(attributes, "attribute")
        for key, value in (("name", "track_id"), ("mutable", "False"), ("input_type", "text")):
            ElementTree.SubElement(attribute, key).text = value
    return meta


def _mask(row: MaskRow, pixels: np.ndarray, label: str) -> ElementTree.Element:
    """A mask: runs along the rows of its box, background first."""
    box = pixels[row.y : row.y + row.height, row.x : row.x + row.width].ravel()
    changes = np.flatnonzero(np.diff(box)) + 1
    runs = np.diff(np.concatenate([[0], changes, [box.size]]))
    if box[0]:
        runs = np.concatenate([[0], runs])
    return ElementTree.Element(
        "mask",
        label=label,
        source="file",
        occluded="0",
        rle=", ".join(map(str, runs.tolist())),
        left=str(row.x),
        top=str(row.y),
        width=str(row.width),
        height=str(row.height),
        z_order="0",
    )


FORMAT = Cvat()
