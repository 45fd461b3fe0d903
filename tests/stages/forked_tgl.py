"""`tgl` in processes that are forked from one that has loaded the libraries, for Makefiles.

A pipeline of thirty commands would load torch thirty times. `python forked_tgl.py SOCKET` is the
process that has loaded them; `python forked_tgl.py SOCKET WORDS` is a `tgl` that lets it fork a
child with the words, folder, environment and streams of the caller, and ends as the child ends.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOADED = (
    "tglcli.main",
    *(
        f"stages.{name}.stage"
        for name in (
            *("extract_frames", "build_moments", "precompute_text", "train", "propagate", "score"),
            *("zero_shot.ground", "zero_shot.track", "zero_shot.assemble"),
            *("tools.toy", "tools.references", "tools.render", "tools.select_moments"),
        )
    ),
)
_LONGEST_WORDS = 1 << 20
_PATIENCE_SECONDS = 120
_LOOK_SECONDS = 0.05


@contextmanager
def forked_tgl(folder: Path, root: Path) -> Iterator[str]:
    """A command that stands for `tgl` in a Makefile, as long as the context lasts.

    Args:
        folder: a place for the socket.
        root: of the repository.
    """
    address = folder / "tgl.sock"
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not address.exists():
            assert server.poll() is None, "the libraries cannot be loaded"
            assert time.monotonic() < deadline
            time.sleep(_LOOK_SECONDS)
        yield f"{sys.executable} -S -E {__file__} {address}"
    finally:
        server.kill()
        server.wait()


def serve(address: str) -> None:
    """Load everything, then fork a child for each caller."""
    for module in LOADED:
        importlib.import_module(module)
    gc.freeze()  # else the first collection in a child would copy all of the memory
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen()
        Path(f"{address}.new").rename(address)
        while True:
            caller, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(caller)
                os._exit(0)
            caller.close()
            while _reaped():
                pass


def _reaped() -> bool:
    """Whether a child has ended in the meantime."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _answer(caller: socket.socket) -> None:
    """Run one command in a child, and tell its exit code."""
    streams = array.array("i")
    text, control, *_ = caller.recvmsg(_LONGEST_WORDS, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(control[0][2])
    words, folder, environment = json.loads(text)
    child = os.fork()
    if child == 0:
        caller.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(streams) + 1)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["tgl", *words]
        os._exit(_run())
    _, status = os.waitpid(child, 0)
    caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _run() -> int:
    """Run the command; a child that ends without taking down what it shares costs little."""
    code = 0
    try:
        sys.modules["tglcli.main"].main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 (as the interpreter would show it)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def call(address: str, words: list[str]) -> int:
    """Let the server run a command with this process's streams; its exit code."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        streams = array.array("i", [0, 1, 2])
        text = json.dumps([words, str(Path.cwd()), dict(os.environ)]).encode()
        server.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        code = int(server.recv(16))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) == 2:
        serve(sys.argv[1])
    sys.exit(call(sys.argv[1], sys.argv[2:]))
