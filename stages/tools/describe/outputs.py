"""The files that `tgl describe` writes: a JSON document, a page, a table per sentence."""

from __future__ import annotations

import json
from pathlib import Path

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError
from stages.tools.describe.describe import Description
from stages.tools.describe.page import description_page
from stages.tools.describe.rows import check_suffix, write_agreement


def check_outputs(table: Path | None, *, compared: bool) -> None:
    """Check the names of outputs before any work is done.

    Raises:
        ConfigError: a table with another suffix, or with nothing to compare.
    """
    if table is None:
        return
    check_suffix(table)
    if not compared:
        raise ConfigError(
            "there is nothing to compare",
            where="--table",
            hint="name moments with --against",
        )


def write_outputs(
    found: Description, document: Path | None, page: Path | None, table: Path | None
) -> None:
    """Write the files that are named."""
    if document is not None:
        write_text_atomic(document, json.dumps(found.document, indent=1, allow_nan=False) + "\n")
    if page is not None:
        write_text_atomic(page, description_page(found))
    if table is not None:
        write_agreement(table, found.index, found.pairs)
