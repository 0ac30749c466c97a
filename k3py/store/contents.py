"""Live values in memory, with their keys in order. Not locked: the store does that."""

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import NamedTuple

from k3py.store.record import Record


class Slice(NamedTuple):
    """Records in key order; `remaining` under the same prefix come after them."""

    records: list[Record]
    remaining: int


class Contents:
    def __init__(self, live: Mapping[str, Record]) -> None:
        self._live = dict(live)
        # A plain list: an insert moves 8 bytes a key, 10 us with 100,000 of them.
        self._keys = sorted(self._live)

    def __len__(self) -> int:
        return len(self._live)

    def get(self, key: str) -> Record | None:
        return self._live.get(key)

    def revision(self, key: str) -> int:
        """The revision of the live record of `key`, 0: none."""
        live = self._live.get(key)
        return live.revision if live else 0

    def put(self, record: Record) -> None:
        """Make `record` the newest of its key."""
        key = record.key
        if record.value is None:
            del self._live[key]
            del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._live:
            insort(self._keys, key)
        # The value before lives on in the history only.
        self._live[key] = record if record.previous is None else record._replace(previous=None)

    def slice(self, prefix: str, start: str = "", limit: int = 0) -> Slice:
        low = bisect_left(self._keys, max(prefix, start))
        end = bisect_left(self._keys, True, low, key=lambda key: not key.startswith(prefix))
        high = min(end, low + limit) if limit else end
        return Slice([self._live[key] for key in self._keys[low:high]], end - high)
