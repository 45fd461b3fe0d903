"""Loading and running what transformers saved; its many failures become one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.errors import CorruptInput, MissingInput, TglError
from stages.engine.hub import local_folder, require_model
from stages.engine.memory import is_out_of_memory


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
    with foreign_model(source, "transformers cannot load it"):
        try:
            return kind.from_pretrained(source, local_files_only=local_only, **settings)
        except OSError as error:
            if local_folder(name) is not None:
                raise
            raise MissingInput(
                f"is not whole in the local cache, or the hub does not have it ({_reason(error)})",
                where=name,
                hint=f"download it elsewhere and name its folder with {option}",
            ) from error


@contextmanager
def foreign_model(where: object, message: str) -> Iterator[None]:
    """Whatever goes wrong in here is the fault of a model's files.

    Over a configuration, a tokenizer or weights that do not fit each other, transformers and what
    it stands on raise nearly every kind of exception that there is.

    Args:
        where: the model's folder or id.
        message: what cannot be done.

    Raises:
        CorruptInput: anything went wrong but for a lack of memory.
        TglError: as raised in here.
    """
    try:
        yield
    except TglError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CorruptInput(f"{message} ({_reason(error)})", where=where) from error


def _reason(error: Exception) -> str:
    """The first line of what an exception says, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
