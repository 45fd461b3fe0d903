"""Running a job per video: finished ones are kept, the others run on the devices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from schemas.errors import TglError
from schemas.receipts import canonical_json
from stages.core.engine.digest import text_digest
from stages.core.engine.failures import failure_lines, input_failure, nothing_done
from stages.core.engine.progress import Progress, counted
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.devices import DeviceFunction, NotLoaded, map_on_devices
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Index, Video
from stages.tools.select_moments.config import REFERENCES, SelectConfig, SelectInputs


@dataclass(frozen=True)
class VideoJob:
    """One video, with all that a process needs to open the rest.

    Attributes:
        config, inputs, runtime: of the run.
        digest: of the inputs. A worker of a cluster outlives a run: what it keeps is found by
            this and the config.
        video_id: of the video.
    """

    config: SelectConfig
    inputs: SelectInputs
    runtime: Runtime
    digest: str
    video_id: str

    @property
    def kept(self) -> tuple[SelectConfig, str]:
        """The key of what a worker keeps from one video of a run to the next."""
        return self.config, self.digest


@dataclass(frozen=True)
class VideoTables:
    """Result of all videos.

    Attributes:
        tables: rows of each video that did not fail, in the order of the index.
        failures: errors by video.
        kept: videos that an earlier run had finished.
    """

    tables: dict[str, pa.Table]
    failures: dict[str, TglError]
    kept: int

    def counts(self) -> dict[str, int]:
        """Counts of videos; failed ones only if there are any."""
        failed = {"videos failed": len(self.failures)} if self.failures else {}
        return {"videos": len(self.tables), **failed}

    def lines(self) -> dict[str, str]:
        """One line per failed video."""
        return failure_lines(dict(sorted(self.failures.items())))


def run_videos(
    work: DeviceFunction[VideoJob, pa.Table | NotLoaded],
    index: Index,
    config: SelectConfig,
    inputs: SelectInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
    units: Callable[[Video], int],
    prepare: Callable[[], object] = lambda: None,
) -> VideoTables:
    """Run a job for every video with sentences, unless an earlier run finished it.

    Args:
        work: does a job.
        index: of the videos.
        config, inputs, out, runtime, progress: of the run.
        units: frames that a video's job advances by.
        prepare: called once before any work, such as a download that all processes need.

    Raises:
        TglError: the model cannot be loaded, every video failed, or the run cannot go on.
    """
    names = [name for name in index.videos if index.expressions_of(name)]
    digests = inputs.digests()
    digest = text_digest(canonical_json(digests))
    if config.model not in REFERENCES:  # a network sees a video's own frames and tracks alone
        del digests["index"]
    keys = {name: _key(index, name, digests, tracks=config.per_referent) for name in names}
    tables = {name: out.finished(name, keys[name]) for name in names}
    waiting = [name for name in names if tables[name] is None]
    failures: dict[str, TglError] = {}
    if runtime.scheduler is not None and inputs.model is not None:  # machines work elsewhere
        config = replace(config, model=str(inputs.model.absolute()))
    if waiting:
        prepare()
        waiting.sort(key=lambda name: units(index.videos[name]), reverse=True)
        total = sum(units(index.videos[name]) for name in waiting)
        with progress.task("select-moments", total, "frame") as task:
            results = map_on_devices(
                work,
                [VideoJob(config, inputs, runtime, digest, name) for name in waiting],
                runtime=runtime,
                progress=progress,
                task=task,
                units=lambda job: units(index.videos[job.video_id]),
            )
            for done, rows in counted(results, len(waiting), task):
                if isinstance(rows, NotLoaded):
                    raise rows.error
                if isinstance(rows, TglError):
                    failures[done.video_id] = input_failure(rows)
                    continue
                out.finish(done.video_id, keys[done.video_id], rows)
                tables[done.video_id] = rows
    if failures and len(failures) == len(names):
        raise nothing_done(failures, "video")
    found = {name: rows for name, rows in tables.items() if rows is not None}
    return VideoTables(found, failures, len(names) - len(waiting))


def _key(index: Index, video_id: str, digests: Mapping[str, str], *, tracks: bool) -> str:
    """Digest of everything that the rows of a video depend on beside the config.

    Args:
        digests: of the inputs beside the index.
        tracks: masks of the index are among it.
    """
    video, expressions = index.videos[video_id], index.expressions_of(video_id)
    size = [video.num_frames, video.height, video.width, video.fps]
    about = [video_id, size, frames_digest(video)]
    sentences = [
        [one.expression_id, one.text, list(one.anno_ids), list(index.moments(*one.key).items())]
        for one in expressions
    ]
    masks = hashlib.sha256()
    for name in sorted({name for one in expressions for name in one.anno_ids} if tracks else ()):
        for frame, rle in index.masks.frames_of(name).items():
            masks.update(f"{name}\0{frame}\0{rle['size']}\0".encode() + rle["counts"])
    return text_digest(canonical_json([dict(digests), about, sentences, masks.hexdigest()]))
