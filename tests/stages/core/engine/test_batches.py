"""Batches that become smaller where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from stages.core.engine.batches import BatchSize

ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
]


class Work:
    """Doubles numbers; fails on some of its calls, or on batches of more than `fits`."""

    def __init__(self, error: Exception, *, calls: Sequence[int] = (), fits: int = 100):
        self.error, self.calls, self.fits = error, calls, fits
        self.sizes: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.sizes.append(len(batch))
        if len(self.sizes) - 1 in self.calls or len(batch) > self.fits:
            raise self.error
        return [2 * item for item in batch]


def results(size: BatchSize, work: Work, items: Sequence[int], **limits: int) -> list[int]:
    done: list[int] = []
    for batch, found in size.run(items, work, **limits):
        assert len(batch) == len(found)
        done += found
    return done


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:24])
def test_a_batch_that_does_not_fit_is_halved_for_good(error: Exception) -> None:
    size, work = BatchSize(8), Work(error, fits=3)
    assert results(size, work, range(9)) == [2 * item for item in range(9)]
    assert work.sizes == [8, 4, 2, 2, 2, 2, 1]
    assert results(size, work, range(2)) == [0, 2]
    assert work.sizes[-1] == 2


@pytest.mark.parametrize("call", range(5))
def test_an_error_at_any_call_loses_and_repeats_nothing(call: int) -> None:
    work = Work(ERRORS[1], calls=[call])
    size = BatchSize(2, release=lambda: True)  # the last batch has one item
    assert results(size, work, range(9)) == [2 * item for item in range(9)]


def test_a_single_item_is_tried_again_only_after_memory_was_freed() -> None:
    free = [True, True, False]
    work = Work(ERRORS[1], fits=0)
    with pytest.raises(torch.OutOfMemoryError):
        results(BatchSize(1, release=lambda: free.pop(0)), work, [7])
    assert work.sizes == [1, 1, 1]
    with pytest.raises(torch.OutOfMemoryError):
        results(BatchSize(1), Work(ERRORS[1], fits=0), [7])


def test_other_errors_and_work_that_cannot_be_repeated_fail_at_once() -> None:
    impatient = BatchSize(4, enabled=False)
    for size, error in ((BatchSize(4), ValueError("a bug")), (impatient, ERRORS[1])):
        work = Work(error, fits=0)
        with pytest.raises(type(error)):
            results(size, work, range(4))
        assert work.sizes == [4]


def test_some_items_may_have_a_smaller_limit() -> None:
    work = Work(ERRORS[0])
    assert results(BatchSize(4), work, range(5), most=2) == [0, 2, 4, 6, 8]
    assert work.sizes == [2, 2, 1]
    assert results(BatchSize(4), work, range(2), most=0) == [0, 2]
