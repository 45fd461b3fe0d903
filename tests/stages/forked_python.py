"""`python` in processes that are forked from one that has loaded the libraries.

A pipeline of thirty commands would load torch thirty times. `python forked_python.py ADDRESS` loads
it once, and leaves a process behind; `python forked_python.py ADDRESS WORDS` is a `python WORDS`
that lets it fork a child with the words, folder, environment and streams of the caller, hands
Ctrl-C and SIGTERM on to it, and ends as the child ends, in life and death. The child leads a
process group, as a command that a shell starts does.

What the libraries read from the environment as they are loaded is not the caller's, and the
interpreter is not taken down at the end: tests of these start a process of their own.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

MODELS = tuple(f"transformers.models.{name}.modeling_{name}" for name in ("sam2_video", "owlv2"))
"""What transformers loads when a model is built; it takes as long as torch."""
BROWSER = find_spec("starlette") is not None and find_spec("uvicorn") is not None
"""Whether the extra tgl[browser] is installed."""
LOADED = (
    "tglcli.reference",  # imports every command
    "torch.distributed.launcher.api",
    *(
        f"stages.{name}.stage"
        for name in (
            *("extract_frames", "build_moments", "precompute_text", "train", "propagate", "score"),
            *("zero_shot.ground", "zero_shot.track", "zero_shot.assemble"),
            *("tools.toy", "tools.references", "tools.render", "tools.select_moments"),
        )
    ),
    *("stages.tools.segment.offline", "stages.tools.segment.online.live"),
    *("stages.tools.annotate.run", "stages.tools.view.run"),
    *(("stages.core.browser.app", "uvicorn.protocols.http.h11_impl") if BROWSER else ()),
    *MODELS,
)
WORKERS_LOAD = (
    "stages.train.loading.batch",
    "stages.train.loading.loader",
    *("stages.score.scorer", "stages.score.report.thumbnails"),
)
"""What worker processes of all stages need; loading it starts no threads."""
PID_FILE = "FORKED_PYTHON_PID_FILE"
"""Variable of the environment: where the child notes its number, for a test that signals it."""
ADDRESS = "FORKED_PYTHON_ADDRESS"
"""Variable of the environment: where a process of this run's serves already."""
OWN_WORKERS = "FORKED_PYTHON_OWN_WORKERS"
"""Variable of the environment: worker processes belong to the child's group, and start slower."""
_LONGEST_WORDS = 1 << 20
_NUMBER = 16
_STAY = b"null"


@contextmanager
def forked_python(folder: Path, root: Path) -> Iterator[list[str]]:
    """Words that stand for `python` as long as the context lasts.

    Args:
        folder: a place for the socket; all who give the same one share the process.
        root: of the repository.
    """
    if ADDRESS in os.environ:
        yield _words(os.environ[ADDRESS])
        return
    address = folder / "python.sock"
    with (folder / "python.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        staying = _stay(address)
        if staying is None:
            environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, __file__, str(address)], env=environment, check=True)
            staying = _stay(address)
    assert staying is not None
    with staying:
        yield _words(str(address))


def _words(address: str) -> list[str]:
    return [sys.executable, "-S", "-E", __file__, address]


def _stay(address: Path) -> socket.socket | None:
    """A connection that keeps the process alive; None if there is no process."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
        connection.sendall(_STAY)
        if connection.recv(1):
            return connection
    except OSError:
        pass
    connection.close()
    return None


def start(address: str) -> None:
    """Load everything, and leave a process behind that serves until the last one who stays goes."""
    for module in LOADED:
        importlib.import_module(module)
    Path(address).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    if os.fork() == 0:
        os.setsid()
        forkserver = importlib.import_module("stages.core.engine.workers.forkserver")
        forkserver.start_forkserver(WORKERS_LOAD)
        gc.collect()
        gc.freeze()  # else the first collection in a child would copy all of the memory
        _serve(listening)
        Path(address).unlink(missing_ok=True)
    os._exit(0)


def _serve(listening: socket.socket) -> None:
    """Fork a child for each caller, while anybody stays."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    staying: list[socket.socket] = []
    met = False
    while staying or not met or select.select([listening], [], [], 0)[0]:
        ready, _, _ = select.select([listening, *staying], [], [])
        for gone in [one for one in staying if one in ready]:
            staying.remove(gone)
            gone.close()
        if listening not in ready:
            continue
        caller, _ = listening.accept()
        streams = array.array("i")
        space = socket.CMSG_SPACE(3 * streams.itemsize)
        text, control, *_ = caller.recvmsg(_LONGEST_WORDS, space)
        if text == _STAY:
            caller.sendall(b"1")
            staying.append(caller)
            met = True
            continue
        streams.frombytes(control[0][2])
        if os.fork() == 0:
            for other in (listening, *staying):
                other.close()
            _answer(caller, list(streams), json.loads(text))
            os._exit(0)
        caller.close()
        for number in streams:
            os.close(number)


def _answer(caller: socket.socket, streams: list[int], given: list[object]) -> None:
    """Run one command in a child, tell its number and its exit code; it ends with the caller."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        caller.close()
        os._exit(_run_as(streams, *given))  # type: ignore[arg-type]
    for number in streams:
        os.close(number)
    with suppress(ConnectionError):
        caller.sendall(b"%*d" % (_NUMBER, child))

    def end_with_caller() -> None:
        select.select([caller], [], [])  # it says no more: it was killed
        with suppress(ProcessLookupError):  # it has ended since
            os.kill(child, signal.SIGKILL)

    threading.Thread(target=end_with_caller, daemon=True).start()
    _, status = os.waitpid(child, 0)
    with suppress(ConnectionError):
        caller.sendall(b"%*d" % (_NUMBER, os.waitstatus_to_exitcode(status)))


def _run_as(streams: list[int], words: list[str], folder: str, environment: dict[str, str]) -> int:
    """Run a command as its caller would have; its exit code."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    killing = importlib.import_module("killing")
    (killing.forget_forkserver if OWN_WORKERS in environment else killing.share_forkserver)()
    if PID_FILE in environment:
        Path(environment[PID_FILE]).write_text(str(os.getpid()))
    code = _run(words)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _run(words: list[str]) -> int:
    """Run `python WORDS` in this process; its exit code."""
    if words[0] == "-u":  # whoever asks for it writes to the descriptors
        words = words[1:]
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(words[1], "<string>", "exec"), main.__dict__)  # noqa: S102 (a test's own)
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 (as the interpreter would show it)
        traceback.print_exc()
        return 1
    return 0


def call(address: str, words: list[str]) -> int:
    """Let a child run a command with this process's streams; its exit code."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        streams = array.array("i", [0, 1, 2])
        text = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109
        server.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        child = int(server.recv(_NUMBER, socket.MSG_WAITALL))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(child, number))
        code = int(server.recv(_NUMBER, socket.MSG_WAITALL))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) == 2:
        start(sys.argv[1])
    sys.exit(call(sys.argv[1], sys.argv[2:]))
