"""Programs that tgl starts end with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stages.core.media.children import child, kill_children

SLEEP = ["sleep", "60"]
PARENT = r"""
import sys, threading, time
from stages.core.media.children import child

def hold():
    with child(["sleep", "60"]) as process:
        sys.stdout.write(f"{process.pid}\n")  # one call: two threads write
        sys.stdout.flush()
        time.sleep(60)

threading.Thread(target=hold, daemon=True).start()
hold()
"""


def ends(pid: int, seconds: float = 2) -> bool:
    """Whether a process is gone, or dead and not yet waited for, within some time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_of_every_thread_end_with_their_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(number)
    parent.wait(10)
    gone = [ends(pid) for pid in pids]
    for pid, ended in zip(pids, gone, strict=True):
        if not ended:
            os.kill(pid, signal.SIGKILL)
    assert gone == [True, True]


def test_an_exception_kills_the_child() -> None:
    with pytest.raises(KeyboardInterrupt), child(SLEEP) as process:
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGKILL


def test_children_of_other_threads_can_be_killed() -> None:
    codes: list[int] = []
    started = threading.Event()

    def work() -> None:
        with child(SLEEP) as process:
            started.set()
            codes.append(process.wait())

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    kill_children()
    thread.join(5)
    assert codes == [-signal.SIGKILL]
