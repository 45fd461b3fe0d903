"""execute(): skip, rerun, resume, mend, publish, refuse."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_stage import COPY, KILL_AFTER, CopyConfig, CopyInputs

from schemas.directories import locked
from schemas.errors import (
    ConfigError,
    CorruptInput,
    MissingInput,
    OutOfMemory,
    OutputBlocked,
    SystemRefused,
)
from schemas.receipts import read_receipt
from stages.core.engine.execute import Outcome, execute, release
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result

SCRIPT = """
import sys
from pathlib import Path
from toy_stage import COPY, CopyConfig, CopyInputs
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
execute(COPY, CopyConfig(), CopyInputs(Path(sys.argv[1])), Path(sys.argv[2]),
        runtime=Runtime(workers=1), progress=SilentProgress())
"""


def copy(source: Path, out: Path, *, force: bool = False, **settings: int) -> Outcome:
    return execute(
        COPY,
        CopyConfig(**settings),
        CopyInputs(source),
        out,
        runtime=Runtime(workers=1),
        progress=SilentProgress(),
        force=force,
    )


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in sorted((folder / "copies").iterdir())}


def beside(out: Path) -> list[str]:
    """What else lies in the parent folder: nothing may be left over."""
    return sorted(p.name for p in out.parent.iterdir() if p.name not in (out.name, "source"))


def test_happy_path(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = copy(source, out)
    assert (outcome.skipped, outcome.counts) == (False, {"worked": 3, "kept": 0})
    assert content(out) == {name: f"text {name} " for name in "abc"}
    receipt = read_receipt(out)
    assert receipt is not None
    assert (receipt.stage, receipt.complete, receipt.outputs.files) == ("copy", True, 4)
    assert beside(out) == []


def test_second_run_skips_and_touches_the_receipt(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    os.utime(out / "receipt.json", (1, 1))
    outcome = copy(source, out)
    assert (outcome.skipped, outcome.counts) == (True, {})
    assert (out / "receipt.json").stat().st_mtime > 1


def test_changed_config_reruns_and_mixes_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    outcome = copy(source, out, times=2)
    assert outcome.counts == {"worked": 3, "kept": 0}
    assert content(out)["a"] == "text a text a "


def test_changed_version_reruns(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    newer = replace(COPY, version=2)
    outcome = execute(
        newer,
        CopyConfig(),
        CopyInputs(source),
        out,
        runtime=Runtime(workers=1),
        progress=SilentProgress(),
    )
    assert outcome.counts == {"worked": 3, "kept": 0}


def test_one_new_input_works_only_that_one(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (source / "b").write_text("mended")
    (source / "d").write_text("new")
    (source / "c").unlink()
    outcome = copy(source, out)
    assert outcome.counts == {"worked": 2, "kept": 1}
    assert content(out) == {"a": "text a ", "b": "mended", "d": "new"}


def test_force_keeps_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    assert copy(source, out, force=True).counts == {"worked": 3, "kept": 0}


def _no_ram() -> None:
    raise MemoryError


def _no_cpu_memory() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def _no_accelerator_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines")


@pytest.mark.parametrize("fail", [_no_ram, _no_cpu_memory, _no_accelerator_memory])
def test_a_lack_of_memory_is_one_line(
    source: Path, tmp_path: Path, fail: Callable[[], None]
) -> None:
    def run(*given: object, **more: object) -> Result:
        fail()
        raise AssertionError("there was memory")

    with pytest.raises(OutOfMemory, match=r"^copy: not enough memory \(.*finished work is kept"):
        execute(
            replace(COPY, run=run),
            CopyConfig(),
            CopyInputs(source),
            tmp_path / "out",
            runtime=Runtime(workers=1),
            progress=SilentProgress(),
        )


def test_a_lost_output_is_mended(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "copies" / "b").unlink()
    outcome = copy(source, out)
    assert outcome.counts == {"worked": 1, "kept": 2}
    assert content(out)["b"] == "text b "


def test_a_changed_table_is_mended_with_a_warning(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "table.txt").write_text("2\n")
    progress = SilentProgress()
    execute(
        COPY,
        CopyConfig(),
        CopyInputs(source),
        out,
        runtime=Runtime(workers=1),
        progress=progress,
    )
    assert (out / "table.txt").read_text() == "1\n"
    assert "lost or changed" in progress.warnings[0]


def test_a_damaged_receipt_tells_no_stage_and_is_replaced_by_force_alone(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "receipt.json").write_text("{")
    with pytest.raises(OutputBlocked, match=r"does not tell what made it .*--force"):
        copy(source, out)
    assert (out / "receipt.json").read_text() == "{"
    assert not copy(source, out, force=True).skipped


def test_a_failed_input_is_reported_and_only_it_is_worked_again(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (source / "b").write_text("damaged")
    outcome = copy(source, out)
    assert outcome.failures == ("b: is damaged",)
    assert set(content(out)) == {"a", "c"}
    again = copy(source, out)
    assert (again.skipped, again.failures, again.counts["kept"]) == (False, ("b: is damaged",), 2)
    (source / "b").write_text("mended")
    mended = copy(source, out)
    assert (mended.failures, mended.counts) == ((), {"worked": 1, "kept": 2})


@pytest.mark.parametrize("after", [0, 1, 2])
def test_sigkill_resumes_where_it_was(source: Path, tmp_path: Path, after: int) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source), str(out)],
        env=os.environ | {KILL_AFTER: str(after), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert copy(source, out).counts == {"worked": 3 - after, "kept": after}
    copy(source, whole)
    assert content(out) == content(whole)
    assert beside(out) == ["whole"]


def test_sigkill_leaves_the_former_artifact_whole(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    before = content(out)
    for name in "abc":
        (source / name).write_text(f"newer {name}")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source), str(out)],
        env=os.environ | {KILL_AFTER: "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert content(out) == before
    assert copy(source, out).counts == {"worked": 2, "kept": 1}


def test_other_settings_do_not_see_the_scratch_of_a_killed_run(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source), str(out)],
        env=os.environ | {KILL_AFTER: "2", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert copy(source, out, times=3).counts == {"worked": 3, "kept": 0}
    assert beside(out) == []


def test_a_publication_killed_half_way_is_undone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    out.rename(tmp_path / ".out.retired")
    assert copy(source, out).skipped
    assert beside(out) == []


def test_a_locked_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked(out), pytest.raises(OutputBlocked, match="another tgl run"):
        copy(source, out)
    assert not copy(source, out).skipped


def test_an_output_whose_lock_cannot_be_made_is_named(source: Path, tmp_path: Path) -> None:
    out = tmp_path / ("x" * 250)  # the lock's name is longer than file systems allow
    with pytest.raises(SystemRefused) as caught:
        copy(source, out)
    assert caught.value.where == str(out)


def test_a_foreign_folder_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    with pytest.raises(OutputBlocked, match="files that tgl did not write"):
        copy(source, out)
    assert (out / "thesis.tex").read_text() == "precious"


def test_another_stages_artifact_is_replaced_by_force_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    other = replace(COPY, name="other")

    def run_other(*, force: bool) -> Outcome:
        return execute(
            other,
            CopyConfig(),
            CopyInputs(source),
            out,
            runtime=Runtime(workers=1),
            progress=SilentProgress(),
            force=force,
        )

    with pytest.raises(OutputBlocked, match=r"was made by tgl copy, not by tgl other; .*--force"):
        run_other(force=False)
    assert copy(source, out).skipped
    run_other(force=True)
    assert read_receipt(out).stage == "other"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["notes.txt", "copies/notes.txt"])
def test_what_was_put_into_an_artifact_is_not_removed(
    source: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / name).write_text("precious")
    with pytest.raises(OutputBlocked, match="holds files that tgl did not write"):
        copy(source, out, times=2)
    assert (out / name).read_text() == "precious"


def test_an_output_that_is_a_link_is_written_through(source: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    copy(source, tmp_path / "out")
    copy(source, tmp_path / "out", times=2)
    assert (tmp_path / "out").is_symlink()
    assert content(tmp_path / "disk" / "real")["a"] == "text a text a "


def test_what_a_run_replaced_is_told(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert copy(source, out).replaced is None
    assert copy(source, out).replaced is None
    assert copy(source, out, times=2).replaced == "a result of other settings (times 1 -> 2)"
    (source / "a").write_text("newer")
    assert copy(source, out, times=2).replaced == "a result of other inputs (a)"


def test_a_partial_result_leaves_a_complete_one_and_is_resumed(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (source / "a").write_text("newer")
    (source / "b").write_text("damaged")
    outcome = copy(source, out)
    assert not outcome.published
    assert outcome.failures == ("b: is damaged",)
    assert content(out) == {name: f"text {name} " for name in "abc"}
    (source / "b").write_text("fixed")
    assert copy(source, out).counts == {"worked": 1, "kept": 2}
    assert content(out)["a"] == "newer"
    assert beside(out) == []


def test_an_input_that_is_replaced_while_it_is_read_ends_the_run(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def run(*given: object, **more: object) -> Result:
        result = COPY.run(*given, **more)
        source.rename(tmp_path / "old")
        source.mkdir()
        (source / "a").write_text("other")
        return result

    def execute_swapped() -> None:
        execute(
            replace(COPY, run=run),
            CopyConfig(),
            CopyInputs(source),
            out,
            runtime=Runtime(workers=1),
            progress=SilentProgress(),
        )

    with pytest.raises(CorruptInput, match="was replaced while it was read; run the same"):
        execute_swapped()
    assert not out.exists()
    assert copy(source, out).counts == {"worked": 1, "kept": 0}


def test_an_artifact_that_is_held_back_is_published_later(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def held(run: Callable[..., Result] = COPY.run) -> Outcome:
        return execute(
            replace(COPY, run=run),
            CopyConfig(),
            CopyInputs(source),
            out,
            runtime=Runtime(workers=1),
            progress=SilentProgress(),
            hold=True,
        )

    first = held()
    assert not out.exists()
    assert content(first.path)["a"] == "text a "

    def never(*given: object, **more: object) -> Result:
        raise AssertionError("nothing was left to work")

    again = held(never)  # a kill came before the release
    release(again)
    assert content(out)["a"] == "text a "
    assert beside(out) == []
    assert held().skipped


def test_an_artifact_on_a_read_only_disk_is_up_to_date(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    copy(source, out)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def open_to_read(path: str, flags: int, *more: int, **named: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            read_only()
        return real_open(path, flags, *more, **named)

    real_open = os.open
    for name in ("utime", "mkdir", "rename"):
        monkeypatch.setattr(os, name, read_only)
    monkeypatch.setattr(os, "open", open_to_read)
    assert copy(source, out).skipped


def test_a_file_in_place_of_the_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(OutputBlocked, match="is a file"):
        copy(source, out)


def test_a_full_disk_is_one_line_and_keeps_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OutputBlocked, match="the disk is full"):
            copy(source, out)
    assert copy(source, out).counts["worked"] == 3


def test_a_run_that_fails_at_once_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "read_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy(source, tmp_path / "out")
    assert beside(tmp_path / "out") == []


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    from stages.core.engine.digest import artifact_digest, file_digest, tree_digest

    for digest in (artifact_digest, file_digest, tree_digest):
        with pytest.raises(MissingInput, match="nothing"):
            digest(tmp_path / "nothing")


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"--times: 10 is outside \[1, 9\]"):
        CopyConfig(times=10)


def test_the_fingerprint_is_pinned() -> None:
    """Another value here means that every user's artifacts are made anew."""
    from schemas.receipts import fingerprint

    found = fingerprint("copy", 1, {"times": 1, "name": "ü"}, {"a": "00"})
    assert found == "699b3e6cc246dd8e36c07cf6c6b4cd3bf445d6db60d76b7c6f804663a8ccb9bf"
