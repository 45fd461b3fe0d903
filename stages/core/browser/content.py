"""The content that a server shows, and refusals of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from schemas.printable import printable_line

Json = dict[str, Any]
NOT_FOUND = 404
CONFLICT = 409
UNPROCESSABLE = 422


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        message: one line for the user.
        more: other fields of the answer.
    """

    def __init__(self, status: int, message: str, more: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": printable_line(message), **(more or {})}


def not_found(what: str) -> Refused:
    """The refusal of something that does not exist."""
    return Refused(NOT_FOUND, f"no such {what}")


class Content(Protocol):
    """What the page shows. Methods are called from several threads.

    Videos and sentences are named by their numbers, so that no name from a request ever becomes a
    path. Every method raises :class:`Refused` for a number that does not exist, and a TglError for
    a file that cannot be read.
    """

    def session(self) -> Json:
        """Mode, annotator, lanes and predictions."""

    def sentences(self) -> Json:
        """All sentences in the order to work in."""

    def video(self, number: int) -> Json:
        """Names, length, size and rate of a video."""

    def frame(self, number: int, frame: int) -> tuple[bytes, str]:
        """A frame's file as it is, and its media type."""

    def masks(self, number: int, sentence: int, referent: int, start: int, end: int) -> Json:
        """Masks of a referent by frame."""

    def sentence(self, number: int) -> Json:
        """The state of a sentence."""

    def act(self, number: int, action: Mapping[str, Any]) -> Json:
        """Apply an action to a sentence; the state after it."""

    def prediction_masks(self, number: int, prediction: int, start: int, end: int) -> Json:
        """Predicted masks of a sentence by frame."""
