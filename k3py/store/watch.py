"""Watches: the past, then the future, and an end for those who cannot keep up."""

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from k3py.store.record import Record

# So many records may wait for a watcher; then it has lost touch, and lists again.
LIMIT = 2000


class Watch:
    """A feed of the records under a prefix, in order, for one reader."""

    def __init__(self, prefix: str, forget: "Callable[[Watch], None]") -> None:
        self.prefix = prefix
        self.closed = False
        """Nothing will be added. With `next` giving None: the feed is over."""
        self._forget = forget
        self._past: deque[Record] = deque()
        self._future: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._over = False

    def next(self, timeout: float | None = None) -> Record | None:
        """The next record; None after `timeout` seconds without one, and at the end."""
        if self._over:
            return None
        if self._past:
            return self._past.popleft()
        try:
            # Not waiting at all is ten times cheaper than waiting for 0 seconds.
            at_once = timeout is not None and timeout <= 0
            record = self._future.get(block=not at_once, timeout=timeout)
        except queue.Empty:
            return None
        self._over = record is None
        return record

    def __iter__(self) -> Iterator[Record]:
        while record := self.next():
            yield record

    def close(self) -> None:
        """End the feed, whoever waits for it; from any thread, as often as you like."""
        self._forget(self)
        self._over = True
        self.end()

    def begin(self, past: Iterable[Record]) -> None:
        """What comes before everything offered. Call before the reader has the watch."""
        self._past.extend(past)

    def offer(self, record: Record) -> bool:
        """Add a record, unless the reader is too far behind: then the feed ends."""
        if self._future.qsize() < LIMIT:
            self._future.put(record)
            return True
        with contextlib.suppress(queue.Empty):
            while True:
                self._future.get_nowait()
        self.end()
        return False

    def end(self) -> None:
        """End the feed after what is in it."""
        if not self.closed:
            self.closed = True
            self._future.put(None)


class Watches:
    """All open watches, by prefix. Not locked: the store does that."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, set[Watch]] = {}

    def add(self, watch: Watch) -> None:
        self._by_prefix.setdefault(watch.prefix, set()).add(watch)

    def discard(self, watch: Watch) -> None:
        if among := self._by_prefix.get(watch.prefix):
            among.discard(watch)
            if not among:
                del self._by_prefix[watch.prefix]

    def offer(self, record: Record) -> None:
        lost = [
            watch
            for prefix, watches in self._by_prefix.items()
            if record.key.startswith(prefix)
            for watch in watches
            if not watch.offer(record)
        ]
        for watch in lost:
            self.discard(watch)

    def end(self) -> None:
        for watches in self._by_prefix.values():
            for watch in watches:
                watch.end()
        self._by_prefix.clear()
