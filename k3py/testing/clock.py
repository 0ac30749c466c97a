"""A clock that only moves when a test turns it."""

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


class FakeClock:
    """`advance` wakes every thread whose wait is over."""

    def __init__(self, start: datetime = START) -> None:
        self._start, self._passed = start, 0.0
        self.waiting = 0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        until = None if seconds is None else self._passed + seconds
        self.waiting += 1
        try:
            while not event.is_set() and (until is None or self._passed < until):
                event.wait(0.005)  # real time: nobody can be told that a foreign event was set
        finally:
            self.waiting -= 1
        return event.is_set()

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    def put_right(self, seconds: float) -> None:
        """Move the time of day alone, as a time server does."""
        self._start += timedelta(seconds=seconds)
