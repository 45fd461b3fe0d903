"""Writing a submission: check every mask, then write a zip whose bytes depend on them alone."""

from __future__ import annotations

import hashlib
import stat
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.directories import sha256_file
from schemas.documents import mapping, parse_json
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError, system_errors
from schemas.files import open_regular, read_regular
from schemas.layouts import OBJECTS_FOLDER
from schemas.receipts import canonical_json, fingerprint
from schemas.wording import amount, listing
from stages.core.engine.digest import require_folder, text_digest
from stages.core.engine.execute import Outcome
from stages.core.engine.outputs import output_files
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.core.submissions.checking import ZIP_ERRORS
from stages.core.submissions.expected_masks import ExpectedVideo, Size, read_expected
from stages.core.submissions.mask_files import black_mask, mask_fault
from stages.tools.submit.config import SubmitConfig, SubmitInputs

NAME = "submit"
VERSION = 1
FORMAT = b"tgl-submission "
"""Begins the comment of our zips; the receipt as JSON follows."""
_LISTED = 5

# The earliest time that a zip can store: equal masks must give equal bytes at any time.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = stat.S_IFREG | 0o644
_UNIX = 3


@dataclass(frozen=True)
class _Job:
    video: ExpectedVideo
    preds: Path


@dataclass
class _Checked:
    """Result of checking one video.

    Attributes:
        faults: one line per mask that a server would refuse.
        missing: paths of missing masks.
        extra: number of files in the video's folder that are not expected.
        size: (H, W) of its masks.
    """

    faults: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: int = 0
    size: Size | None = None


def write_submission(
    config: SubmitConfig,
    inputs: SubmitInputs,
    out: Path,
    *,
    runtime: Runtime,
    progress: Progress,
    force: bool = False,
) -> Outcome:
    """Write the zip `out`, unless it is up to date.

    The receipt (fingerprint and counts) is the comment of the zip. Equal masks give equal bytes,
    wherever and whenever they are written.

    Raises:
        MissingInput: masks are missing and `config.missing` refuses that.
        CorruptInput: masks that the server would refuse; the first five are named.
        OutputBlocked: `out` is an input or in one, is not a submission of tgl, or the disk is full.
        SystemRefused: the system does not let a file be read or written.
    """
    started = time.monotonic()
    with system_errors(out):
        require_folder(inputs.preds)
        expected = read_expected(inputs.meta, frames_dir=inputs.frames_dir, exclude=inputs.exclude)
    with system_errors(out), output_files(inputs.paths(), force=force) as files:
        known = _comment(out)
        target = files.add(out, known=known is not None)
        if out.suffix.lower() not in ("", ".zip"):
            raise ConfigError(f"{out.name!r} is not a zip, which servers take", where="--out")
        mark = fingerprint(NAME, VERSION, config.to_dict(), _digests(expected, inputs.preds))
        if known is not None and known.get("fingerprint") == mark and not force:
            return Outcome(out, out, True, known["counts"], {}, time.monotonic() - started)
        checked = _check_all(expected, inputs.preds, runtime, progress)
        _refuse_faults(config, inputs, expected, checked)
        counts = _counts(expected, checked)
        comment = FORMAT + canonical_json({"fingerprint": mark, "counts": counts}).encode()
        masks = _files(expected, checked, inputs.preds)
        _write_zip(target, config.prefix, masks, comment, counts["masks"], progress)
        counts |= _left_out(inputs.preds, expected, checked)
    return Outcome(out, out, False, counts, {}, time.monotonic() - started)


def _comment(out: Path) -> Mapping[str, Any] | None:
    """Read the receipt of a complete zip of ours; None if there is none."""
    try:
        with open_regular(out) as file, zipfile.ZipFile(file) as archive:
            comment = archive.comment
            entries = len(archive.infolist())
    except (MissingInput, CorruptInput, *ZIP_ERRORS):
        return None
    if not comment.startswith(FORMAT):
        return None
    try:
        document = mapping(parse_json(comment.removeprefix(FORMAT), out), out)
        counts = mapping(document.get("counts"), out)
    except CorruptInput:
        return None  # the comment is cut off or changed
    whole = all(isinstance(count, int) for count in counts.values())
    return document if whole and counts.get("masks") == entries else None


def _check_all(
    expected: list[ExpectedVideo], preds: Path, runtime: Runtime, progress: Progress
) -> dict[str, _Checked]:
    found: dict[str, _Checked] = {}
    jobs = [_Job(video, preds) for video in expected]
    with progress.task("check masks", len(jobs), "video") as task:
        # Threads: nearly all of the time goes to zlib, which releases the GIL.
        for job, checked in map_jobs(_check_video, jobs, runtime=runtime, kind="thread"):
            if isinstance(checked, TglError):
                raise checked
            found[job.video.video_id] = checked
            task.advance()
    return found


def _check_video(job: _Job) -> _Checked:
    checked = _Checked(size=job.video.size)
    wanted = set()
    for path in job.video.paths():
        wanted.add(path)
        try:
            data = read_regular(job.preds / path)
        except MissingInput:
            checked.missing.append(path)
            continue
        except CorruptInput as error:
            checked.faults.append(f"{path} cannot be read ({error.message})")
            continue
        fault, size = mask_fault(data, checked.size)
        if fault is not None:
            checked.faults.append(f"{path} {fault}")
        elif checked.size is None:
            # If the frames are not known, the first mask sets the size of the others.
            checked.size = size
    folder = job.preds / job.video.video_id
    present = (p.relative_to(job.preds).as_posix() for p in folder.rglob("*") if p.is_file())
    checked.extra = sum(path not in wanted for path in present)
    return checked


def _refuse_faults(
    config: SubmitConfig,
    inputs: SubmitInputs,
    expected: list[ExpectedVideo],
    checked: dict[str, _Checked],
) -> None:
    found = [checked[video.video_id] for video in expected]
    faults = [fault for video in found for fault in video.faults]
    if faults:
        raise CorruptInput(
            f"{amount(len(faults), 'masks')} that the server would refuse: {first_of(faults)}",
            where=inputs.preds,
        )
    missing = [path for video in found for path in video.missing]
    if len(missing) == _total(expected):
        names = [video.video_id for video in expected]
        raise MissingInput(
            f"no mask here matches the meta file, which expects {listing(names, 'videos')}",
            where=inputs.preds,
            hint="masks belong at VIDEO/EXPRESSION/FRAME.png; is --meta that of this split?",
        )
    if missing and config.missing == "refuse":
        raise MissingInput(
            f"{len(missing)} of {_total(expected)} masks are missing: {first_of(missing)}",
            where=inputs.preds,
            hint="predict them, or write black ones with --missing black",
        )
    unsized = [video.video_id for video in expected if checked[video.video_id].size is None]
    if missing and unsized:
        raise MissingInput(
            f"all masks of {amount(len(unsized), 'videos')} are missing, so that the size of black "
            f"ones is not known: {first_of(unsized)}",
            where=inputs.preds,
            hint="name the split's folder of frames with --frames",
        )


def first_of(lines: list[str]) -> str:
    """Join the first few lines, and add how many more there are."""
    shown = "; ".join(lines[:_LISTED])
    more = len(lines) - _LISTED
    return f"{shown}; and {more} more" if more > 0 else shown


def _total(expected: list[ExpectedVideo]) -> int:
    return sum(len(video.expressions) * len(video.frames) for video in expected)


def _digests(expected: list[ExpectedVideo], preds: Path) -> dict[str, str]:
    """Digest the expected masks and the content of every mask; time and path do not count."""
    wanted = [[v.video_id, v.expressions, v.frames, v.size] for v in expected]
    content = hashlib.sha256()
    for video in expected:
        for path in video.paths():
            file = preds / path
            content.update(sha256_file(file).encode() if file.is_file() else b"missing")
    return {"expected": text_digest(canonical_json(wanted)), "preds": content.hexdigest()}


def _counts(expected: list[ExpectedVideo], checked: dict[str, _Checked]) -> dict[str, int]:
    """Count the content of the zip."""
    return {
        "videos": len(expected),
        "expressions": sum(len(video.expressions) for video in expected),
        "masks": _total(expected),
        "black masks for missing ones": sum(len(video.missing) for video in checked.values()),
        "videos whose size is not known from frames": sum(v.size is None for v in expected),
    }


def _left_out(
    preds: Path, expected: list[ExpectedVideo], checked: dict[str, _Checked]
) -> dict[str, int]:
    """Count what is among the predictions but not in the zip."""
    names = {OBJECTS_FOLDER, *(video.video_id for video in expected)}
    present = (path.name for path in preds.iterdir() if path.is_dir())
    folders = sum(name not in names and not name.startswith(".") for name in present)
    return {
        "unexpected files left out": sum(video.extra for video in checked.values()),
        "unexpected folders left out": folders,
    }


def _files(
    expected: list[ExpectedVideo], checked: dict[str, _Checked], preds: Path
) -> Iterator[tuple[str, bytes]]:
    """Yield every mask with its path, in the order of the meta file."""
    for video in expected:
        found = checked[video.video_id]
        missing = set(found.missing)
        blank = black_mask(found.size) if missing and found.size is not None else b""
        for path in video.paths():
            yield path, blank if path in missing else read_regular(preds / path)


def _write_zip(
    out: Path,
    prefix: str,
    files: Iterable[tuple[str, bytes]],
    comment: bytes,
    total: int,
    progress: Progress,
) -> None:
    # PNGs are compressed already; stored, their bytes do not depend on the version of zlib.
    with (
        progress.task("write zip", total, "mask") as task,
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive,
    ):
        for path, data in files:
            entry = zipfile.ZipInfo(prefix + path, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _FILE_MODE << 16
            archive.writestr(entry, data)
            task.advance()
        archive.comment = comment
