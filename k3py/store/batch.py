"""Writes that wait for the disk, and what a transaction makes of them."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from k3py.store import errors
from k3py.store.contents import Contents
from k3py.store.disk import Row, row
from k3py.store.lazy import LazyRecords
from k3py.store.record import Record


@dataclass(slots=True)
class Batch:
    """Writes that reach the disk in one transaction, and see the light together."""

    writes: "list[Write]" = field(default_factory=list)
    wants_flush: bool = False
    """Lazy records are to be on disk as well."""
    done: threading.Event = field(default_factory=threading.Event)
    failure: errors.StoreFailed | None = None


@dataclass(slots=True)
class Write:
    record: Record
    base: int
    """The revision that it replaces, 0: none."""
    durable: bool
    batch: Batch
    failure: errors.StoreFailed | None = None


def rows(writes: Iterable[Write], contents: Contents, lazy: LazyRecords) -> list[Row]:
    """The rows that the durable ones among `writes` add; the last tells what is settled."""
    newest_row: dict[str, int] = {}
    unsettled = lazy.oldest()
    added: list[Row] = []
    for write in writes:
        record = write.record
        if not write.durable:
            unsettled = unsettled or record.revision
            continue
        key = record.key
        if key not in newest_row:
            newest_row[key] = lazy.on_disk(key, contents.revision(key))
        added.append(row(record, base=write.base, on_disk=newest_row[key]))
        newest_row[key] = record.revision if record.value is not None else 0
    if added:
        settled = unsettled - 1 if unsettled else added[-1].revision
        added[-1] = added[-1]._replace(settled=settled)
    return added
