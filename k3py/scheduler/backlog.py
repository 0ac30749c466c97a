"""Pods that wait for a node: most important first, and those that fit nowhere until something
changes that may help.

    ready ──take──► (placed)
      ▲ └─────────► stuck ──a node changed, a pod went, five minutes passed──┐
      └──────────────────── after a pause that grows with each failure ◄─────┘
"""

import heapq
import threading
from dataclasses import dataclass, field

from k3py.api.objects import Key
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock

_FLUSH_SECONDS = 300


@dataclass(order=True)
class _Waiting:
    rank: tuple[int, int]
    key: Key = field(compare=False)


class Backlog:
    """Kubernetes' pauses: one second, doubled up to ten."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._backoff: Backoff[Key] = Backoff(1, 10)
        self._lock = threading.Lock()  # guards all that follows
        self._ready: list[_Waiting] = []
        self._priorities: dict[Key, int] = {}  # of every pod that waits
        self._later: list[tuple[float, Key]] = []
        self._stuck: dict[Key, float] = {}  # since when
        self._pauses: dict[Key, float] = {}
        self._order = 0
        self._closed = False
        self._changed = threading.Event()

    def add(self, key: Key, priority: int) -> None:
        """A pod that wants a node, or whose spec changed."""
        with self._lock:
            known = key in self._priorities and key not in self._stuck
            self._priorities[key] = priority
            self._stuck.pop(key, None)
            if not known:
                self._push(key)

    def remove(self, key: Key) -> None:
        """A pod that has a node, or is gone."""
        with self._lock:
            self._priorities.pop(key, None)
            self._stuck.pop(key, None)
            self._pauses.pop(key, None)
            self._backoff.forget(key)

    def stuck(self, key: Key) -> None:
        """Nothing fits it now: wait for a change."""
        with self._lock:
            if key in self._priorities:
                now = self._clock.monotonic()
                self._stuck[key] = now
                self._pauses[key] = now + self._backoff.next(key)
                self._changed.set()

    def retry(self, key: Key) -> None:
        """It failed for a passing reason: try again after a pause."""
        with self._lock:
            if key in self._priorities:
                due = self._clock.monotonic() + self._backoff.next(key)
                heapq.heappush(self._later, (due, key))
                self._changed.set()

    def wake(self) -> None:
        """Something changed that may help whoever is stuck."""
        with self._lock:
            for key in self._stuck:
                heapq.heappush(self._later, (self._pauses.get(key, 0), key))
            self._stuck.clear()
            self._changed.set()

    def take(self) -> Key | None:
        """The most important pod that is ready, once there is one; None when closed."""
        while True:
            with self._lock:
                if self._closed:
                    return None
                seconds = self._promote()
                while self._ready:
                    key = heapq.heappop(self._ready).key
                    if key in self._priorities:
                        return key
                self._changed.clear()
            self._clock.wait(self._changed, seconds)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._changed.set()

    def _push(self, key: Key) -> None:
        self._order += 1
        heapq.heappush(self._ready, _Waiting((-self._priorities[key], self._order), key))
        self._changed.set()

    def _promote(self) -> float | None:
        """Make ready what is due; the seconds until more will be."""
        now = self._clock.monotonic()
        for key, since in [*self._stuck.items()]:
            if now - since >= _FLUSH_SECONDS:
                del self._stuck[key]
                self._push(key)
        while self._later and self._later[0][0] <= now:
            _, key = heapq.heappop(self._later)
            if key in self._priorities and key not in self._stuck:
                self._push(key)
        dues = [due for due, _ in self._later[:1]]
        dues += [since + _FLUSH_SECONDS for since in self._stuck.values()]
        return max(0.0, min(dues) - now) if dues else None
