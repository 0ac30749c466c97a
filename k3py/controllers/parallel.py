"""Many calls at once: the store writes what comes together in one go."""

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from k3py.api import errors
from k3py.base import threads

T = TypeVar("T")
AT_ONCE = 16


def each(items: Sequence[T], call: Callable[[T], object]) -> list[errors.ApiError]:
    """`call` every item, several at a time; the refusals, in no order.

    What is no refusal but a fault is raised, once every item has had its turn.
    """
    if len(items) <= 1:
        return [failure for item in items if (failure := _refusal(call, item))]
    refusals: list[errors.ApiError] = []
    faults: list[Exception] = []
    left = deque(items)

    def work() -> None:
        with contextlib.suppress(IndexError):  # none is left
            while True:
                attempt(left.popleft())

    def attempt(item: T) -> None:
        try:
            if failure := _refusal(call, item):
                refusals.append(failure)
        except Exception as fault:
            faults.append(fault)

    workers = [threads.spawn("parallel", work) for _ in range(min(AT_ONCE, len(items)))]
    for worker in workers:
        worker.join()
    if faults:
        raise faults[0]
    return refusals


def slowly(items: Sequence[T], call: Callable[[T], object]) -> tuple[int, errors.ApiError | None]:
    """`call` the items in batches of 1, 2, 4 …, and stop after a batch with a refusal.

    Answers how many succeeded, and the refusal. A quota that allows none of a thousand pods
    is so asked once, not a thousand times.
    """
    done, size = 0, 1
    while done < len(items):
        batch = items[done : done + size]
        refusals = each(batch, call)
        done += len(batch) - len(refusals)
        if refusals:
            return done, refusals[0]
        size *= 2
    return done, None


def _refusal(call: Callable[[T], object], item: T) -> errors.ApiError | None:
    try:
        call(item)
    except errors.ApiError as failure:
        return failure
    return None
