"""Escaping the text of data sets for HTML."""

from __future__ import annotations

import re
from html import escape

_FORBIDDEN = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Controls, lone surrogates and noncharacters (HTML standard, section 13.2.3.5)."""


def report_text(text: str) -> str:
    r"""Return `text` with visible escapes for what HTML forbids: `\x1b` for ESC."""
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def html_text(text: str) -> str:
    """Return :func:`report_text` with the characters of markup escaped."""
    return escape(report_text(text))
