"""The encoder of a name."""

from __future__ import annotations

from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.model.loading.hub import require_model
from stages.core.model.text_encoders.encoding import Encoder
from stages.core.model.text_encoders.hashing import HashEncoder
from stages.core.model.text_encoders.recorded import ENCODER_OPTION, HASH_ENCODER


def load_encoder(
    name: str,
    *,
    pooling: str,
    max_tokens: int,
    dim: int,
    runtime: Runtime,
    progress: Progress | None = None,
) -> Encoder:
    """Load a text encoder.

    Args:
        name: HASH_ENCODER, a folder, or a hub id.
        pooling: "mean" or "first".
        max_tokens: longer sentences are cut.
        dim: D, the width of HASH_ENCODER.
        progress: announces and shows a download; silent without.

    Raises:
        MissingInput: no such folder, or a hub id that is neither cached nor reachable.
        CorruptInput: transformers cannot load it.
    """
    if name == HASH_ENCODER:
        return HashEncoder(dim, max_tokens, pooling)
    # Checked before torch is loaded, so that the error offline comes at once.
    require_model(name, option=ENCODER_OPTION, progress=progress)
    from stages.core.model.text_encoders.transformer import TransformerEncoder

    return TransformerEncoder(name, max_tokens, pooling, runtime)
