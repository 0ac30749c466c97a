"""Records that everybody sees and the disk does not have yet. Not locked: the store does that.

One per key, the newest: what a lease said ten seconds ago need never be written.
"""

from collections import OrderedDict
from typing import NamedTuple

from k3py.store.disk import Row, row
from k3py.store.record import Record


class Lazy(NamedTuple):
    record: Record
    base: int
    """The revision that it replaced."""
    on_disk: int
    """The newest row of the key on disk, 0: none."""


class LazyRecords:
    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Lazy] = OrderedDict()  # oldest revision first

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, record: Record, base: int) -> None:
        before = self._by_key.pop(record.key, None)
        on_disk = before.on_disk if before else base
        self._by_key[record.key] = Lazy(record, base, on_disk)

    def discard(self, key: str) -> None:
        self._by_key.pop(key, None)

    def clear(self) -> None:
        self._by_key.clear()

    def on_disk(self, key: str, live: int) -> int:
        """The newest row on disk of `key`, whose visible revision is `live`."""
        lazy = self._by_key.get(key)
        return lazy.on_disk if lazy else live

    def oldest(self) -> int | None:
        """The lowest revision that is not on disk."""
        return next(iter(self._by_key.values())).record.revision if self._by_key else None

    def between(self, prefix: str, since: int, upto: int) -> list[Record]:
        return [
            lazy.record
            for lazy in self._by_key.values()
            if since < lazy.record.revision <= upto and lazy.record.key.startswith(prefix)
        ]

    def rows(self) -> list[Row]:
        return [
            row(lazy.record, base=lazy.base, on_disk=lazy.on_disk) for lazy in self._by_key.values()
        ]
