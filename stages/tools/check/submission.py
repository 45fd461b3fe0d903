"""Checking a submission: names, sizes and kinds of its masks, and missing ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

from schemas.errors import CorruptInput
from schemas.files import open_regular
from schemas.layouts import FRAMES_FOLDER, MASK_SUFFIX
from stages.core.datasets.layouts.youtube_vos import meta_of_test_split
from stages.core.submissions.checking import ZIP_ERRORS, check_submission, server_of
from stages.core.submissions.servers import PREFIXES
from stages.tools.check.config import AUTO, CheckConfig
from stages.tools.check.findings import Findings


def check_zip(path: Path, config: CheckConfig, meta: Path | None, findings: Findings) -> str:
    """Collect every fault of a submission's zip; returns the server that it was checked for.

    Args:
        meta: the meta file of its split; None checks the zip by itself.

    Raises:
        TglError: it is not a zip, or the meta file cannot be read.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            server = server_of(archive) if config.server == AUTO else config.server
            names = [name for name in archive.namelist() if name.endswith(MASK_SUFFIX)]
    except ZIP_ERRORS as error:
        raise CorruptInput(f"is not a complete zip ({error})", where=path) from error
    lines = check_submission(
        path,
        meta,
        server=server,
        frames_dir=_frames_dir(meta),
        exclude=None if meta is None else meta_of_test_split(meta),
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


def _frames_dir(meta: Path | None) -> Path | None:
    """Return the split's frames, for the sizes of its masks, if they are beside the meta file."""
    folder = None if meta is None else meta.parent / FRAMES_FOLDER
    return folder if folder is not None and folder.is_dir() else None
