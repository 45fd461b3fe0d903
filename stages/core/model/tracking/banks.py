"""The bank of an object while it is tracked: bounded, however long the video is."""

from __future__ import annotations

from dataclasses import replace

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.memory import MemoryBank, MemoryEntry


def drop_unread(bank: MemoryBank, frame: int, backbone: Backbone) -> None:
    """Drop the memories that no frame after this one reads (see ``read_session``).

    Prompted frames stay. Of the tracked ones, the last few are read as a whole and some before
    them by their pointer alone: their tokens, which take nearly all of the memory, are dropped.

    Args:
        bank: of one object, tracked in one direction.
        frame: the last one written.
        backbone: for the numbers of memories and pointers that a frame reads.
    """
    whole = backbone.memory_slots - 1
    longest = max(whole, backbone.max_pointers - 1)
    kept = []
    for entry in bank.entries:
        distance = abs(frame - entry.frame) + 1  # from the next frame
        if entry.prompted or distance <= whole:
            kept.append(entry)
        elif distance <= longest:
            kept.append(_pointer_alone(entry))
    bank.entries = kept


def prompted_alone(bank: MemoryBank) -> MemoryBank:
    """A new bank with the prompted frames of another, in order of time."""
    entries = [entry for entry in bank.entries if entry.prompted]
    return MemoryBank(bank.dtype, sorted(entries, key=lambda entry: entry.frame))


def _pointer_alone(entry: MemoryEntry) -> MemoryEntry:
    if not len(entry.features):
        return entry
    return replace(entry, features=entry.features.new_empty(0, entry.features.shape[1]))
