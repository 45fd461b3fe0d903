"""Loading what transformers saved, its many failures as one line."""

from __future__ import annotations

from typing import Any

from schemas.errors import CorruptInput, MissingInput
from stages.engine.hub import local_folder, require_model


def load_pretrained(kind: Any, name: str, *, option: str, **settings: Any) -> Any:
    """`kind.from_pretrained(name)` of a local folder or a hub id.

    Args:
        kind: AutoModel, AutoTokenizer, ...
        option: the option that named the model, for messages.

    Raises:
        MissingInput: no such folder, or a hub id that is neither cached nor to be reached.
        CorruptInput: transformers cannot load what is there.
    """
    local_only = require_model(name, option=option)
    source = str(local_folder(name) or name)
    try:
        return kind.from_pretrained(source, local_files_only=local_only, **settings)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if local_folder(name) is None and isinstance(error, OSError):
            raise MissingInput(
                f"is not whole in the local cache, or the hub does not have it ({reason})",
                where=name,
                hint=f"download it elsewhere and name its folder with {option}",
            ) from error
        raise CorruptInput(f"transformers cannot load it ({reason})", where=source) from error
    except Exception as error:
        # safetensors raises a type of its own for a truncated file
        if type(error).__name__ != "SafetensorError":
            raise
        raise CorruptInput(f"its weights are damaged ({error})", where=source) from error
