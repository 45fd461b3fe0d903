"""Making a request for several videos from what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from schemas.errors import ConfigError
from stages.tools.segment.many.request import ManyRequest
from stages.tools.segment.many.sentences import SENTENCES_OPTION, assign_sentences
from stages.tools.segment.many.sources import VIDEOS_OPTION, find_given_videos
from stages.tools.segment.request import SegmentRequest

_SUFFIXES = (".mp4", ".gif", ".png", ".webm", ".mov")
"""Of overlays; the name of a folder does not end so."""


def many_request(
    request: SegmentRequest, videos: Sequence[Path], lists: Sequence[Path]
) -> ManyRequest:
    """Make a request for several videos of one whose sentences are those of every video.

    Args:
        videos: files and folders; see ``find_given_videos``.
        lists: files of sentences; see ``assign_sentences``.

    Raises:
        ConfigError: options that are for one video alone, or no sentence for any video.
        MissingInput, CorruptInput: as those functions raise them.
    """
    _check(request)
    found = find_given_videos(videos)
    named, left_out = assign_sentences(found.videos, request.sentences, lists)
    if not named:
        raise ConfigError(
            "is missing",
            where="SENTENCE",
            hint=f"describe what to segment, or name a file of sentences with {SENTENCES_OPTION}",
        )
    known = {field.name: getattr(request, field.name) for field in fields(SegmentRequest)}
    known |= {
        "source": named[0].video.path,
        "warnings": (*request.warnings, *found.warnings, *left_out),
    }
    return ManyRequest(**known, videos=tuple(named), read=(*videos, *lists))


def _check(request: SegmentRequest) -> None:
    if request.prompts:
        raise ConfigError(f"has no effect with {VIDEOS_OPTION}", where=request.prompts[0])
    if request.size is not None:
        raise ConfigError("only raw video on standard input needs it", where="--size")
    if request.out.suffix.lower() in _SUFFIXES:
        raise ConfigError(
            f"{request.out.name!r} is one overlay; with {VIDEOS_OPTION} name a folder",
            where="--out",
            hint="its overlays are .mp4, or as --format says",
        )
