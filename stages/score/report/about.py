"""The run that a report is about: paths, the model's settings, dates and version."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import TglError
from schemas.layouts import RECEIPT_FILE, VIDEOS_TABLE
from schemas.receipts import Receipt, read_receipt
from stages.core.engine.version import TGL_VERSION
from stages.core.pages.document import facts
from stages.core.pages.markup import html_text
from stages.score.config import ScoreInputs

_DIGEST_SHOWN = 12
_INDEX = "INDEX"


def about_run(inputs: ScoreInputs) -> str:
    """Make the list of what was scored, with the settings of the predictions behind a click.

    Dates are those of the predictions: the same inputs give the same page.
    """
    receipt, state = _receipt(inputs.preds)
    pairs = [("predictions", _absolute(inputs.preds)), ("ground truth", _absolute(inputs.gt))]
    settings = ""
    if receipt is not None:
        made = _time((inputs.preds / RECEIPT_FILE).stat().st_mtime)
        pairs.append(("made by", f"tgl {receipt.stage} (tgl {receipt.tgl}), {made}"))
        pairs += [
            (name, f"SHA-256 {str(digest)[:_DIGEST_SHOWN]}")
            for name, digest in receipt.inputs.items()
            if name == "checkpoint"
        ]
        settings = _settings(receipt.config)
    else:
        changed = _time(inputs.preds.stat().st_mtime)
        pairs.append(("made by", f"{state}; changed {changed}"))
    pairs.append(("scored by", f"tgl {TGL_VERSION}"))
    return facts(pairs) + settings


def view_command(inputs: ScoreInputs) -> str:
    """The command that shows these predictions in the browser."""
    known = (inputs.gt / VIDEOS_TABLE).is_file()
    index = shlex.quote(_absolute(inputs.gt)) if known else _INDEX
    return f"tgl view {index} --preds {shlex.quote(_absolute(inputs.preds))}"


def _receipt(folder: Path) -> tuple[Receipt | None, str]:
    """The receipt of the predictions, or why there is none."""
    try:
        receipt = read_receipt(folder)
    except TglError:
        return None, f"unknown: {RECEIPT_FILE} cannot be read"
    return receipt, f"unknown: the folder has no {RECEIPT_FILE}"


def _settings(config: Mapping[str, Any]) -> str:
    listed = facts([(str(name), str(value)) for name, value in config.items()])
    count = html_text(f"{len(config)} settings of the predictions")
    return f"<details><summary>{count}</summary>{listed}</details>" if config else ""


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (as the user named it: links are kept)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
