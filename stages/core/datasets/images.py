"""Data sets of images with sentences: every image is a video of one frame."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigError, CorruptInput
from stages.core.datasets.documents.json_values import whole_text
from stages.core.datasets.records import DatasetPath, RawVideo
from stages.core.index.index import Expression

_IMAGE_FOLDERS = ("train2014", "images/train2014", "images/mscoco/images/train2014", "images")


class ImageSentences:
    """Sentences of a data set, numbered from 0 in each image in the order of the file.

    Attributes:
        blank: number of sentences without a letter, which are left out.
    """

    def __init__(self) -> None:
        self.blank = 0
        self._by_image: dict[str, list[Expression]] = {}

    def add(self, image: str, text: object, anno_ids: tuple[str, ...], where: str) -> None:
        """Add a sentence.

        Args:
            image: name of the image's file, without the suffix.

        Raises:
            CorruptInput: `text` is none, or an id stands twice.
        """
        if not isinstance(text, str):
            raise CorruptInput("has no sentence", where=where)
        if len(set(anno_ids)) != len(anno_ids):
            raise CorruptInput("refers to an annotation twice", where=where)
        text = " ".join(whole_text(text, where).split())
        if not text:
            self.blank += 1
            return
        found = self._by_image.setdefault(image, [])
        found.append(Expression(image, str(len(found)), text, anno_ids, anno_ids))

    def videos(self, folder: Path) -> list[RawVideo]:
        """List the images in `folder` that have sentences, in the order of the file."""
        return [RawVideo(name, (name,), folder) for name in self._by_image]

    def expressions(self) -> list[Expression]:
        """List the sentences, image by image."""
        return [expression for found in self._by_image.values() for expression in found]


def image_folder(source: DatasetPath) -> Path:
    """Find the folder of a data set's images: the one named, or where COCO's usually lie."""
    if source.frames is not None:
        return source.frames
    folders = (source.root / name for name in _IMAGE_FOLDERS)
    return next((f for f in folders if f.is_dir()), source.root / _IMAGE_FOLDERS[0])


def require_no_subfolder(source: DatasetPath) -> None:
    """Check that the split is not the name of a folder, which holds a data set of its own.

    Raises:
        ConfigError: it is.
    """
    if source.folder != source.root:
        raise ConfigError(
            f"{source.split} is a folder, not a split",
            where="--split",
            hint=f"name {source.folder} as the data set, and one of its splits with --split",
        )
