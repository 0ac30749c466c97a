"""Delays that grow with each failure of a key, and forget when it succeeds."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """Exponential delays in seconds: `first`, doubled at every `next`, at most `limit`."""

    def __init__(self, first: float, limit: float) -> None:
        self._first, self._limit = first, limit
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """How long to wait after one more failure of `key`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return float(min(self._limit, self._first * 2 ** min(failures, 32)))

    def forget(self, key: K) -> None:
        self._failures.pop(key, None)
