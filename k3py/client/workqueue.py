"""A queue of things to look at again.

Adding a key twice before anyone takes it queues it once. Adding it while a
worker has it queues it again for when that worker is done, so no two workers
ever hold the same key and no change goes unseen.

Keys for later wait in a heap. Whoever waits for a key also waits for the first
of them to fall due, so no timer thread is needed.
"""

import heapq
import threading
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """`first` and `limit` bound the seconds that `retry` waits."""

    def __init__(self, *, clock: Clock = SYSTEM, first: float = 0.05, limit: float = 60) -> None:
        self._clock = clock
        self._backoff: Backoff[K] = Backoff(first, limit)
        self._lock = threading.Lock()  # guards all that follows
        self._waiting: deque[K] = deque()
        self._dirty: set[K] = set()
        self._taken: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._order = 0
        self._idle: deque[threading.Event] = deque()
        self._closed = False

    def add(self, key: K) -> None:
        with self._lock:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` in `seconds`. Of several such wishes for a key the earliest counts."""
        with self._lock:
            if self._closed:
                return
            if seconds <= 0:
                self._add(key)
                return
            due = self._clock.monotonic() + seconds
            if self._due.get(key, due) < due:
                return
            self._due[key] = due
            self._order += 1
            heapq.heappush(self._later, (due, self._order, key))
            if self._later[0][2] == key:
                self._wake()

    def take(self) -> K | None:
        """The next key, once there is one; None when the queue is closed."""
        woken = threading.Event()
        while True:
            with self._lock:
                seconds = self._promote()
                if self._waiting:
                    return self._hand_out()
                if self._closed:
                    return None
                woken.clear()
                self._idle.append(woken)
            self._clock.wait(woken, seconds)
            with self._lock:
                if woken in self._idle:
                    self._idle.remove(woken)

    def take_now(self) -> K | None:
        """The next key if there is one, without waiting."""
        with self._lock:
            self._promote()
            return self._hand_out() if self._waiting else None

    def done(self, key: K) -> None:
        """The worker that took `key` is through with it."""
        with self._lock:
            self._taken.discard(key)
            if key in self._dirty:
                self._enqueue(key)

    def retry(self, key: K) -> float:
        """Add `key` again, later with each failure; answers in how many seconds."""
        with self._lock:
            seconds = self._backoff.next(key)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: K) -> None:
        """`key` succeeded: its next failure is a first one."""
        with self._lock:
            self._backoff.forget(key)

    def close(self) -> None:
        """Let every `take` return None."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._dirty.clear()
            self._later.clear()
            self._due.clear()
            while self._idle:
                self._wake()

    def __iter__(self) -> Iterator[K]:
        while (key := self.take()) is not None:
            yield key

    def __len__(self) -> int:
        """How many keys wait to be taken now."""
        with self._lock:
            self._promote()
            return len(self._waiting)

    def _add(self, key: K) -> None:
        if key not in self._dirty and not self._closed:
            self._dirty.add(key)
            if key not in self._taken:
                self._enqueue(key)

    def _enqueue(self, key: K) -> None:
        self._waiting.append(key)
        self._wake()

    def _hand_out(self) -> K:
        key = self._waiting.popleft()
        self._dirty.discard(key)
        self._taken.add(key)
        if self._later:
            self._wake()  # someone else must now watch the time
        return key

    def _promote(self) -> float | None:
        """Add the keys that are due; the seconds until the next one is, None if there is none."""
        now = self._clock.monotonic()
        while self._later:
            due, _, key = self._later[0]
            if self._due.get(key) != due:  # an earlier wish for this key came after this one
                heapq.heappop(self._later)
                continue
            if due > now:
                return due - now
            heapq.heappop(self._later)
            del self._due[key]
            self._add(key)
        return None

    def _wake(self) -> None:
        if self._idle:
            self._idle.popleft().set()
