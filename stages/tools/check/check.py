"""Recognising what a path is, and checking it."""

from __future__ import annotations

from pathlib import Path

from schemas.directories import walk
from schemas.errors import ConfigError, MissingInput, TglError
from schemas.files import require_regular
from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASK_SUFFIX,
    RECEIPT_FILE,
    VIDEOS_TABLE,
    looks_like_parquet,
    looks_like_video,
)
from stages.core.datasets.layouts.registry import detect_layout, splits_of
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.media.frames import read_frame
from stages.tools.check.artifact import (
    MARKS,
    check_checkpoint,
    check_frames,
    check_receipt,
    check_table,
    check_tables,
    check_texts,
)
from stages.tools.check.config import AUTO, CheckConfig
from stages.tools.check.dataset import check_dataset
from stages.tools.check.findings import Findings, Report
from stages.tools.check.fixing import clear, put_back
from stages.tools.check.index import check_index
from stages.tools.check.predictions import check_predictions
from stages.tools.check.submission import check_zip

_INDEX, _DATASET, _TABLE, _SUBMISSION = "index", "data set", "table", "submission"
_MOMENT_SUFFIXES = (".json", ".jsonl", ".csv", ".xml", ".eaf")
_ARTIFACT = "artifact"
"""What render, references and select-moments make: known by its receipt alone."""


def check(
    path: Path,
    config: CheckConfig,
    *,
    runtime: Runtime,
    progress: Progress,
    meta: Path | None = None,
    fix: bool = False,
) -> Report:
    """Every fault of a data set, an artifact, a single table or a submission; nothing is changed.

    Args:
        fix: fix what is tgl's own, see :mod:`stages.tools.check.fixing`; the faults reported are
            those of before.
        meta: the meta file of its split, against which a submission is held.

    Raises:
        MissingInput: there is nothing at `path`, or nothing that is known.
    """
    findings = Findings()
    fixed = put_back(path) if fix else []
    kind = _kind(path, config)
    try:
        kind = _check_kind(kind, path, config, findings, runtime, progress, meta)
    except (MissingInput, ConfigError) as error:
        if kind == _DATASET:
            raise
        findings.part(kind)(error)
    except TglError as error:
        findings.part(kind)(error)
    if fix:
        fixed += clear(path, findings.faults)
    return Report(
        str(path),
        kind,
        findings.counts,
        tuple(findings.faults),
        tuple(fixed),
        findings.made_by,
        tuple(findings.notes),
    )


def _kind(path: Path, config: CheckConfig) -> str:
    if not path.is_dir():
        return _file_kind(require_regular(path, missing="there is nothing to check"))
    if config.layout != AUTO:
        return _DATASET
    if (path / VIDEOS_TABLE).exists() or (path / EXPRESSIONS_TABLE).exists():
        return _INDEX
    found = next((kind for kind, mark in MARKS.items() if (path / mark).exists()), None)
    if detect_layout(path) is not None:
        return _DATASET
    if found is None and (path / RECEIPT_FILE).is_file() and not splits_of(path):
        return _ARTIFACT
    return found or _DATASET


def _file_kind(path: Path) -> str:
    if path.suffix.lower() == ".zip":
        return _SUBMISSION
    if looks_like_parquet(path):
        return _TABLE
    raise _unknown_file(path)


def _unknown_file(path: Path) -> ConfigError:
    """The error for a file that check does not read: what it is, and what to do with it."""
    suffix = path.suffix.lower()
    kind = f"a {suffix} file" if suffix else "a file without a suffix"
    hint = "check takes a data set, an artifact, one of its tables or a submission's zip"
    if looks_like_video(path):
        kind, hint = "a video", f"extract its frames with tgl extract-frames {path} FRAMES"
    elif suffix in _MOMENT_SUFFIXES:
        hint = (
            f"moments are checked by tgl build-moments DATASET INDEX --moments {path}, "
            "a data set by the folder of its split"
        )
    return ConfigError(f"is {kind}, not a table (Parquet) or a zip", where=path, hint=hint)


def _check_kind(
    kind: str,
    path: Path,
    config: CheckConfig,
    findings: Findings,
    runtime: Runtime,
    progress: Progress,
    meta: Path | None,
) -> str:
    """Check `path` as what it is; returns the kind, for a data set with its layout."""
    if kind == _DATASET:
        layout = check_dataset(path, config, findings, runtime, progress)
        return f"{_DATASET} ({layout})"
    if kind == _TABLE:
        check_table(path, findings)
        return kind
    if kind == _SUBMISSION:
        return f"{_SUBMISSION} ({check_zip(path, config, meta, findings)})"
    check_receipt(path, findings)
    if kind == _INDEX:
        check_index(path, config, findings, runtime, progress)
        return kind
    check_tables(path, findings)
    if kind == "frames":
        check_frames(path, config, findings, runtime, progress)
    elif kind == "texts":
        check_texts(path, findings)
    elif kind == "predictions":
        check_predictions(path, findings, runtime, progress)
    elif kind == "checkpoint":
        check_checkpoint(path, findings)
    elif kind == _ARTIFACT:
        findings.counts["files"] = sum(1 for _ in walk(path))
        _check_images(path, findings)
    return kind


def _check_images(path: Path, findings: Findings) -> None:
    """Decode the PNGs that references and render make; no table lists them."""
    faults = findings.part("images")
    for name, entry in walk(path):
        if name.endswith(MASK_SUFFIX):
            try:
                read_frame(Path(entry.path))
            except TglError as error:
                faults(error)
