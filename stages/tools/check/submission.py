"""Checking a submission: names, sizes and kinds of its masks, and what is missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

from schemas.errors import CorruptInput
from schemas.files import open_regular
from schemas.layouts import FRAMES_FOLDER, MASK_SUFFIX
from stages.core.submissions.checking import ZIP_ERRORS, check_submission, server_of
from stages.core.submissions.servers import PREFIXES
from stages.tools.check.config import AUTO, CheckConfig
from stages.tools.check.findings import Findings

_VALID, _TEST = "valid", "test"


def check_zip(path: Path, config: CheckConfig, meta: Path | None, findings: Findings) -> str:
    """Collect every fault of a submission's zip; returns the server for which it was checked.

    Args:
        meta: the meta file of its split; None takes the zip by itself.

    Raises:
        TglError: it is no zip, or the meta file cannot be read.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            server = server_of(archive) if config.server == AUTO else config.server
            names = [name for name in archive.namelist() if name.endswith(MASK_SUFFIX)]
    except ZIP_ERRORS as error:
        raise CorruptInput(f"is not a whole zip ({error})", where=path) from error
    lines = check_submission(
        path, meta, server=server, pictures=_pictures(meta), exclude=_left_out(meta)
    )
    faults = findings.part("masks")
    for line in lines:
        faults(CorruptInput(line, where=path))
    findings.counts |= {
        "videos": len({name.removeprefix(PREFIXES[server]).split("/")[0] for name in names}),
        "expressions": len({name.rpartition("/")[0] for name in names}),
        "masks": len(names),
    }
    return server


def _pictures(meta: Path | None) -> Path | None:
    """The pictures of the split, for the sizes of masks, if they lie beside the meta file."""
    folder = None if meta is None else meta.parent / FRAMES_FOLDER
    return folder if folder is not None and folder.is_dir() else None


def _left_out(meta: Path | None) -> Path | None:
    """The meta file of Ref-YouTube-VOS' test split, whose videos its valid file lists too."""
    if meta is None or meta.parent.name != _VALID:
        return None
    path = meta.parent.parent / _TEST / meta.name
    return path if path.is_file() else None
