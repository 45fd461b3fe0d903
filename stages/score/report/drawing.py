"""Drawing all images of a report with the run's workers, video by video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import TglError
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.score.report.choice import Shown
from stages.score.report.thumbnails import PictureJob, Pictures, Place, draw_pictures


@dataclass(frozen=True)
class Drawn:
    """The images of a report by the number of their video."""

    pictures: Mapping[int, Pictures]

    def card(self, item: Shown, frame: int) -> str | None:
        """The whole image of a frame, base64 of a JPEG."""
        return self.pictures[item.number].cards.get((item.place, frame))

    def masks(self, item: Shown, frame: int) -> str | None:
        """The masks of a frame, base64 of a PNG."""
        return self.pictures[item.number].masks.get((item.place, frame))

    @property
    def frames(self) -> dict[str, str]:
        """The frames under the masks, base64 of JPEGs, by `<video's number>:<frame>`."""
        return {
            f"{number}:{frame}": image
            for number, pictures in self.pictures.items()
            for frame, image in pictures.frames.items()
        }


def draw_all(preds: Path, cards: Iterable[Shown], rows: Iterable[Shown], runtime: Runtime) -> Drawn:
    """Draw the images of the cards and of the rows."""
    places: dict[int, tuple[list[Place], list[Place]]] = defaultdict(lambda: ([], []))
    videos = {}
    for item in cards:
        videos[item.number] = item.video
        places[item.number][0].append((item.place, item.case.frames[item.most_telling()]))
    for item in rows:
        videos[item.number] = item.video
        frames = [item.case.frames[row] for row in item.strip()]
        places[item.number][1].extend((item.place, frame) for frame in frames)
    jobs = {
        number: PictureJob(preds, videos[number], tuple(whole), tuple(masks))
        for number, (whole, masks) in places.items()
    }
    numbers = {id(job): number for number, job in jobs.items()}
    found = {}
    for job, pictures in map_jobs(draw_pictures, jobs.values(), runtime=runtime):
        if isinstance(pictures, TglError):
            raise pictures
        found[numbers[id(job)]] = pictures
    return Drawn(found)
