"""Time, as a thing that can be handed in: tests turn it by hand."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some start; never goes back."""

    def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        """Sleep until `event` is set or `seconds` have passed; whether it is set."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        return event.wait(seconds)


SYSTEM: Clock = SystemClock()


def sleep(seconds: float) -> None:
    """Block the caller; for the rare place that has no stop event to wait on."""
    time.sleep(seconds)
