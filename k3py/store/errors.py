"""Why the store refuses.

Conflict            someone else wrote the key first
Compacted           the history asked for is gone: list again
StoreFailed         the write is not on disk, and nothing of it is visible
├─ StoreFull        … for want of room
└─ StoreClosed      … for the store is closed, or was never started
Unusable            the file cannot be opened as a store
├─ Foreign          it is something else, or damaged beyond reading
├─ Damaged          it is a store, but not intact
├─ Newer            a newer version of this program made it
└─ InUse            another process has it open
"""

from pathlib import Path

from k3py.store.record import Record


class Conflict(Exception):
    """`live` is what the key holds instead of what the writer expected; None: nothing."""

    def __init__(self, key: str, live: Record | None) -> None:
        self.key, self.live = key, live
        super().__init__(f"{key} is at revision {live.revision}" if live else f"{key} is not there")


class Compacted(Exception):
    def __init__(self, since: int) -> None:
        self.since = since
        super().__init__(f"the history since revision {since} is gone")


class StoreFailed(Exception):
    pass


class StoreFull(StoreFailed):
    pass


class StoreClosed(StoreFailed):
    pass


class Unusable(Exception):
    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class Foreign(Unusable):
    pass


class Damaged(Unusable):
    pass


class Newer(Unusable):
    pass


class InUse(Unusable):
    pass
