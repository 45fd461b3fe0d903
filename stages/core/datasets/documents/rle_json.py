"""Reading COCO run-length masks from JSON, one track at a time, checked before decoding."""

from __future__ import annotations

from collections.abc import Mapping

from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.datasets.documents.json_values import rle_size
from stages.core.media.rle import Rle
from stages.core.media.rle_checks import check_length, check_runs, run_totals


def read_track(values: object, *, where: str) -> list[Rle | None]:
    """Read the masks of one object as compressed RLEs, None where it is not visible.

    Args:
        values: a JSON list of null or RLE; counts are compressed text or a list of runs.

    Raises:
        CorruptInput: a field is missing, or the runs do not fill a frame exactly; the message
            says which mask of the list.
    """
    if not isinstance(values, list):
        raise CorruptInput("has no list of masks", where=where)
    masks = [_parse(value, f"{where}, mask {i}") for i, value in enumerate(values)]
    visible = {i: mask for i, mask in enumerate(masks) if mask is not None}
    counts = [mask["counts"] for mask in visible.values()]
    totals = run_totals(counts, where=where, numbers=list(visible))
    for (i, mask), total in zip(visible.items(), totals.tolist(), strict=True):
        height, width = mask["size"]
        if total != height * width:
            raise CorruptInput(
                f"the runs do not fill {width}x{height} pixels", where=f"{where}, mask {i}"
            )
    return masks


def _parse(value: object, where: str) -> Rle | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise CorruptInput("a mask is neither null nor an RLE", where=where)
    height, width = rle_size(value.get("size"), where)
    counts = value.get("counts")
    if isinstance(counts, str):
        check_length(len(counts), height * width, where=where)
        return Rle(size=[height, width], counts=_ascii(counts, where))
    if isinstance(counts, list):
        return _compress(counts, height, width, where)
    raise CorruptInput("the RLE has no counts", where=where)


def _ascii(counts: str, where: str) -> bytes:
    try:
        return counts.encode("ascii")
    except UnicodeEncodeError as error:
        raise CorruptInput("the RLE has an invalid character", where=where) from error


def _compress(counts: list[object], height: int, width: int, where: str) -> Rle:
    check_runs(len(counts), height * width, where=where)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts)
    if not whole or sum(counts) != height * width:  # type: ignore[arg-type]
        raise CorruptInput(f"the runs do not fill {width}x{height} pixels", where=where)
    # pycocotools has room for six characters per number: MAX_PIXELS keeps runs below 2**28.
    packed = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return Rle(size=[height, width], counts=packed["counts"])
