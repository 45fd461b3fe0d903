"""Limits on the memory that the model and `tgl propagate` take at one time; none changes a result.

The settings of a run (``--feature-memory``, ``--expressions-per-batch``, ``--chunk-frames``) stand
in its config.
"""

from __future__ import annotations

FLOAT_BYTES = 4

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

# --- propagate: features and the adapter --------------------------------------------------------

MOST_EXPRESSIONS = 16
"""Sentences of a video that run as one batch, unless a run says otherwise."""
FEWEST_CHUNKS = 2
"""Chunks of features that are kept whatever the budget: a chunk's neighbours are needed next."""
RECENT_CHUNKS = 4
"""Chunks that are kept before older ones: a round of unguided frames comes from three of them."""
CHUNKS_AHEAD = 2
"""Most chunks that are decoded before they are needed: one for each direction of tracking."""
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

# --- propagate: frames and masks ----------------------------------------------------------------

DECODED_AHEAD = 16
"""Frames of a stream that are decoded in advance."""
RESIZED_BYTES = 64_000_000
"""Masks of one batch while they are enlarged."""


def enlarged_masks(height: int, width: int) -> int:
    """Return the number of masks of a video's size that are enlarged together."""
    return max(1, RESIZED_BYTES // (height * width * FLOAT_BYTES))
