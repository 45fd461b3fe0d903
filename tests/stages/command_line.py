"""The command line in this process: what a user types, without the seconds of loading libraries."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock


def run_tgl(
    *words: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `tgl WORDS` as in a folder and with some variables of the environment set.

    Its streams are no files: for pipes, terminals and signals a test starts a process.

    Returns:
        Exit code, standard output and standard error, as of a process.
    """
    main = importlib.import_module("tglcli.main")
    typed = [str(word) for word in words]
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        contextlib.nullcontext() if cwd is None else contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["tgl", *typed]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.main()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(typed, int(code), out.getvalue(), err.getvalue())
