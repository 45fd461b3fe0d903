"""Work in batches that become smaller where memory runs out: the one place that survives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from stages.core.engine.failures import is_out_of_memory

T = TypeVar("T")
R = TypeVar("R")


class BatchSize:
    """The most items of a batch; halved, for as long as it lives, whenever memory runs out.

    Work on a batch must be repeatable: what it changes, it changes after everything that takes
    memory.

    Args:
        most: items of a batch.
        release: frees memory that is only kept for speed, and returns whether there was any; it is
            called when memory runs out for a single item.
        enabled: False lets every error pass, as in training, where work is not repeatable.
    """

    def __init__(
        self, most: int, *, release: Callable[[], bool] | None = None, enabled: bool = True
    ):
        self.most = most
        self._release = release
        self._enabled = enabled

    def run(
        self, items: Sequence[T], work: Callable[[Sequence[T]], R], *, most: int | None = None
    ) -> Iterator[tuple[Sequence[T], R]]:
        """Do work on items, batch by batch, in order.

        Args:
            most: a smaller limit for these items.

        Yields:
            Each batch with its result.

        Raises:
            Exception: as `work`; also if memory runs out for one item.
        """
        start = 0
        while start < len(items):
            limit = self.most if most is None else min(most, self.most)
            batch = items[start : start + max(1, limit)]
            try:
                found = work(batch)
            except Exception as error:
                if not (self._enabled and is_out_of_memory(error) and self._smaller(len(batch))):
                    raise
                continue
            start += len(batch)
            yield batch, found

    def _smaller(self, size: int) -> bool:
        """Prepare to repeat a batch; returns whether it may fit now."""
        if size > 1:
            self.most = size // 2
            return True
        return self._release is not None and self._release()
