"""A server of annotate or view in a process of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forked_python import PID_FILE

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+) ")


class Served:
    """`tgl WORDS`, as soon as it has printed its address.

    Args:
        python: words that stand for python.
        folder: the working folder.

    Attributes:
        port: of its address.
    """

    def __init__(self, python: Sequence[str], folder: Path, *words: object):
        number = folder / f"pid-{len(list(folder.glob('pid-*')))}"
        self._process = subprocess.Popen(
            [*python, "-m", "tglcli", *map(str, words), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | {PID_FILE: str(number)},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = _ADDRESS.search(line)
        assert found, line + self._process.communicate()[1]
        self.port, self._token = int(found[1]), found[2]
        self._number = number

    def get(self, path: str) -> Any:
        """The JSON at an address."""
        status, answer = self.request("GET", path)
        assert status == 200, answer
        return answer

    def act(self, sentence: int, revision: int, **action: object) -> Any:
        """The state of a sentence after an action."""
        body = {"revision": revision, "seconds": 1.5, **action}
        status, answer = self.request("POST", f"/api/sentence/{sentence}/actions", body)
        assert status == 200, answer
        return answer

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of the answer to a request of the page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if method == "POST":
            headers["Origin"] = f"http://127.0.0.1:{self.port}"
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        return answer.status, found

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait()
        self._process.communicate()

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """End it by a signal, Ctrl-C by default: exit code, and the rest of both its streams."""
        os.kill(self.pid, number)
        out, error = self._process.communicate(timeout=60)
        return self._process.returncode, out, error

    @property
    def pid(self) -> int:
        """The command's own number, not that of the process which stands for it."""
        return int(self._number.read_text())
