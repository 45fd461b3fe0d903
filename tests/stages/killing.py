"""Work in a child process that is killed, or watched, at steps that change the file system."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import forkserver, util
from typing import Any, NamedTuple

from schemas import directories

_CALLS = (
    *("fsync", "link", "mkdir", "remove", "rename", "replace", "rmdir", "setxattr", "symlink"),
    "unlink",
)
_LONGEST_SECONDS = 120


class Step(NamedTuple):
    """A call that changed the file system: its name, and the name of what it changed."""

    call: str
    target: str


Watch = Callable[[int, bool], None]
"""Called before (False) and after (True) the step of a number; what it does itself is no step."""


class _Counter:
    """Counts the steps of this process, shows them to somebody and kills it at one of them."""

    def __init__(self, kill_at: int | None, after: bool, watch: Watch | None):
        self.steps: list[Step] = []
        self._kill_at = kill_at
        self._after = after
        self._watch = watch
        self._watching: int | None = None
        """The thread that watches, if one does."""

    def counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` as a step."""

        def step(*given: Any, **more: Any) -> Any:
            if self._watching == threading.get_ident():
                return call(*given, **more)
            number = len(self.steps)
            here = number == self._kill_at
            self.steps.append(Step(name, os.path.basename(str(given[0]))))  # noqa: PTH119
            if here and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            self._show(number, after=False)
            try:
                return call(*given, **more)
            finally:
                if here:
                    os.kill(os.getpid(), signal.SIGKILL)
                self._show(number, after=True)

        return step

    def _show(self, number: int, *, after: bool) -> None:
        """Let somebody look at the state before or after a step."""
        if self._watch is not None:
            self._watching = threading.get_ident()
            self._watch(number, after)
            self._watching = None

    def install(self, exchange: bool) -> None:
        """Replace the system's calls; the lock's file counts as it is created."""
        for name in _CALLS:
            setattr(os, name, self.counted(name, getattr(os, name)))
        create = self.counted("create", os.open)
        opened = os.open

        def open_file(path: Any, flags: int, *given: Any, **more: Any) -> int:
            return (create if flags & os.O_CREAT else opened)(path, flags, *given, **more)

        os.open = open_file  # type: ignore[assignment]
        rename = directories._renameat2() if exchange else None
        counted = None if rename is None else self.counted("exchange", rename)
        directories._renameat2 = lambda: counted  # type: ignore[assignment]


def run_in_child(
    work: Callable[[], object],
    *,
    kill_at: int | None = None,
    after: bool = False,
    exchange: bool = True,
    watch: Watch | None = None,
) -> list[Step]:
    """Do `work` in a forked child.

    Args:
        kill_at: number of the step at which SIGKILL comes; None lets it finish.
        after: kill after the step, not before it.
        exchange: whether the system can let two folders change places.
        watch: shown every step, in the child.

    Returns:
        the steps of a child that finished; none of one that was killed.
    """
    util.get_temp_dir()  # else the first child that starts workers has one step more
    counter = _Counter(kill_at, after, watch)

    def counted() -> str:
        counter.install(exchange)
        work()
        return json.dumps(counter.steps)

    code, text = end_of_child(counted)
    if kill_at is not None:
        assert code == -signal.SIGKILL, f"the child was to be killed at step {kill_at}: {text}"
        return []
    assert code == 0, text
    return [Step(*step) for step in json.loads(text)]


def end_of_child(work: Callable[[], str]) -> tuple[int, str]:
    """Do `work` in a forked child, where all libraries are loaded.

    Returns:
        The child's exit code, negative for a signal, and what `work` returned or its traceback.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        share_forkserver()
        use_one_thread()
        _child(work, write)
    os.close(write)
    with os.fdopen(read) as answers:
        text = answers.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def share_forkserver() -> None:
    """Let a child use its parent's forkserver, of which it cannot ask whether it runs."""
    server = forkserver._forkserver
    if server._forkserver_pid is not None:
        forkserver.ensure_running = server.ensure_running = lambda: None  # type: ignore[attr-defined]


def use_one_thread() -> None:
    """Let torch do without the threads of the parent, which a child would wait for in vain."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def forget_forkserver() -> None:
    """Let a child start a forkserver of its own, as a new process does."""
    server = forkserver._forkserver
    server._forkserver_pid = server._forkserver_alive_fd = server._forkserver_address = None
    server._preload_modules = ["__main__"]


def _child(work: Callable[[], str], write: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a handler of pytest's would wait for Python
    signal.alarm(_LONGEST_SECONDS)
    code = 1
    try:
        answer, code = work(), 0
    except BaseException:  # noqa: BLE001 (the parent shows it)
        answer = traceback.format_exc()
    with os.fdopen(write, "w") as answers:
        answers.write(answer)
    sys.stdout.flush()
    os._exit(code)
