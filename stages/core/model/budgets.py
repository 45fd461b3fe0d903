"""Limits on the memory that the model and `tgl propagate` take at one time; none changes a result.

The settings of a run (``--feature-memory``, ``--expressions-per-batch``, ``--chunk-frames``) stand
in its config. On a CPU the limits are constants; on a GPU they are shares of the memory that was
free when it was first asked for, rounded down to a power of two, so that equal GPUs make equal
batches. Where they are wrong, ``BatchSize`` halves the batch.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import torch

FLOAT_BYTES = 4
_KIBIBYTE = 1024
GIGABYTE = 1_000_000_000

# --- dual-path propagation --------------------------------------------------------------------

ITEMS_PER_BATCH = 256
"""Most (track, frame) items that are segmented as one batch."""
WRITES_PER_CLEANUP = 64
"""Writes to a memory bank between two searches for memories that no frame will read."""
POSITIONS_PER_ROUND = 16
"""Frames that the unguided items of one round come from where not all features are in memory."""

# --- tracking from prompts ----------------------------------------------------------------------

TRACKED_BYTES = 1_000_000_000
"""Features, keys and values of the objects that are tracked to a frame as one batch."""
LIVE_COPIES = 8
"""Tensors as large as a frame's coarse features that each item takes at one time: queries of
memory attention, the decoder's upscaled levels, the mask that the memory encoder reads."""

# --- propagate: features and the adapter --------------------------------------------------------

FEATURE_BYTES = 2 * GIGABYTE
"""Features of a video's frames, and as much again for the adapter's tokens."""
FEATURE_SHARE, BATCH_SHARE, RESIZED_SHARE = 1 / 4, 1 / 4, 1 / 64
"""Of the free memory of a GPU: features (and as much for tokens), a batch, its enlarged masks."""
HOST_SHARE = 1 / 2
"""Of the free host memory, for the features of the videos on all of its GPUs."""
MOST_EXPRESSIONS = 16
"""Sentences of a video that run as one batch, unless a run says otherwise."""
ENCODED_PIXELS = 1024 * 1024
"""Of the frames that a CPU encodes as one batch: beyond it a frame takes a fifth more time, since
layers outgrow what the allocator keeps for the next one."""
FEWEST_CHUNKS = 2
"""Chunks of features that are kept whatever the budget: a chunk's neighbours are needed next."""
RECENT_CHUNKS = 4
"""Chunks that are kept before older ones: a round of unguided frames comes from three of them."""
CHUNKS_ONWARD = 2
"""Chunks that are read before they are needed: one takes longer to decode than to encode."""
CHUNKS_AHEAD = 2 * CHUNKS_ONWARD
"""Most chunks that are read before they are needed: tracking has two directions."""
BLOCK_FRAMES = 32
"""Fewest frames whose adapter tokens are made together."""
BLOCK_BYTES = 2_000_000
"""One sentence's tokens of a block: small frames come in larger blocks, which read less halo."""
LAYER_BYTES = 8_000_000
"""Values of one layer of the adapter while sentences are fused with a block."""
RELEVANCE_FRAMES = 256
"""Frames whose relevance is computed together: attention over time is quadratic in them."""

EVIDENCE_BYTES = 64_000_000
"""Adapter tokens inside the tracks of a video, of the sentences that are judged together."""
HEAD_BYTES = 4_000_000
"""Values of one layer of the track head, of the sentences that it reads as one batch."""

# --- propagate: frames and masks ----------------------------------------------------------------

DECODED_AHEAD = 16
"""Frames of a stream that are decoded in advance."""
RESIZED_BYTES = 64_000_000
"""Masks of one batch while they are enlarged."""


def enlarged_masks(height: int, width: int, device: torch.device) -> int:
    """Return the number of masks of a video's size that are enlarged together."""
    limit = share_of_gpu(device, RESIZED_SHARE) or RESIZED_BYTES
    return max(1, limit // (height * width * FLOAT_BYTES))


def encoded_frames(size: int, device: torch.device) -> int | None:
    """Return the most frames of side `size` that are encoded as one batch; None without a limit."""
    return max(1, ENCODED_PIXELS // size**2) if device.type == "cpu" else None


def item_bytes(*, tokens: int, memories: int, channels: int, memory_channels: int) -> int:
    """Return the bytes that memory attention takes for one item, in float32.

    Args:
        tokens: of a frame, h * h.
        memories: remembered frames that it reads.
        channels: C of the features.
        memory_channels: of the memories.
    """
    keys = memories * tokens * 2 * (channels + memory_channels)
    return FLOAT_BYTES * (keys + LIVE_COPIES * tokens * channels)


def feature_bytes(gigabytes: float | None, device: torch.device) -> float:
    """Return the bytes that the features of a video may take on a device.

    Args:
        gigabytes: as the user says; None for the default.
    """
    if gigabytes is not None:
        return gigabytes * GIGABYTE
    return share_of_gpu(device, FEATURE_SHARE) or FEATURE_BYTES


def host_bytes(device: torch.device) -> int:
    """Return the bytes of host memory for features that do not fit on a GPU; 0 for a CPU."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return 0
    return int(HOST_SHARE * available_memory() / torch.cuda.device_count())


def available_memory() -> int:
    """Return the bytes of host memory that a process may take; 0 where the system does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * _KIBIBYTE
    return 0


def share_of_gpu(device: torch.device, share: float) -> int | None:
    """Return bytes of a GPU's free memory, a power of two; None for another device."""
    if device.type != "cuda" or not torch.cuda.is_available():  # as in a dry run
        return None
    return 1 << max(0, int(share * _free_bytes(device)).bit_length() - 1)


@lru_cache
def _free_bytes(device: torch.device) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + kept)
