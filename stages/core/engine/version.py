"""The version of the installed distribution, for receipts and `tgl --version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("tgl")
    except PackageNotFoundError:
        return "0+source"


TGL_VERSION = _installed()
