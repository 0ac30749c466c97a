"""Watch streams: what was, what changes, and now and then how far that is.

    state (ADDED …) → changes since → BOOKMARK every minute → … → the end, or 410

An object that begins to match a selector is ADDED to its watchers, and one that ceases to
is DELETED, whatever really happened to it. The bytes of an event are made once, however
many watch.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import orjson

from k3py.api import errors
from k3py.apiserver.selection import Selection
from k3py.base.clock import SYSTEM, Clock
from k3py.store.record import Record
from k3py.store.watch import Watch

BOOKMARK_SECONDS = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Change(NamedTuple):
    """One event: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and its object's bytes."""

    type: str
    value: bytes


class Revisions(Protocol):
    """What a watch needs to know of the store beside its own records."""

    @property
    def revision(self) -> int: ...


class Stream:
    """The changes to what `selection` selects, in order; iterating blocks.

    `initial` are the records of the state to begin with; `seconds` ends it. `close` may be
    called from any thread.
    """

    def __init__(
        self,
        watch: Watch,
        store: Revisions,
        selection: Selection,
        *,
        initial: Iterable[Record] = (),
        initial_revision: int = 0,
        announce_initial: bool = False,
        bookmarks: bool = False,
        seconds: float | None = None,
        exact_key: str = "",
        clock: Clock = SYSTEM,
    ) -> None:
        self.kind = selection.kind
        self._watch, self._store, self._selection = watch, store, selection
        self._initial, self._initial_revision = initial, initial_revision
        self._announce_initial, self._bookmarks = announce_initial, bookmarks
        self._exact_key, self._clock = exact_key, clock
        now = clock.monotonic()
        self._deadline = now + seconds if seconds is not None else None
        self._next_bookmark = now + BOOKMARK_SECONDS
        self._closed = False

    def __iter__(self) -> Iterator[Change]:
        try:
            yield from self._state()
            while not self._closed:
                waiting = self._patience()
                if waiting is not None and waiting <= 0:
                    if not self._bookmark_is_due():
                        return
                    waiting = 0.0  # what has come already goes out before the bookmark
                # The revision is read first: nothing up to it can come after a timeout.
                reached = self._store.revision
                record = self._watch.next(waiting)
                if record is None:
                    if self._watch.closed:
                        return
                    if self._bookmark_is_due():
                        yield self._bookmark(reached)
                elif change := self._change(record):
                    yield change
        finally:
            self._watch.close()

    def close(self) -> None:
        self._closed = True
        self._watch.close()

    def _state(self) -> Iterator[Change]:
        for record in self._initial:
            assert record.value is not None
            if self._selection.matches(record.value):
                yield Change("ADDED", record.value)
        self._initial = ()
        if self._announce_initial:
            yield self._bookmark(self._initial_revision, {INITIAL_EVENTS_END: "true"})

    def _patience(self) -> float | None:
        """How long to wait for a record at most; None: for ever."""
        now = self._clock.monotonic()
        until = [self._next_bookmark - now] if self._bookmarks else []
        if self._deadline is not None:
            until.append(self._deadline - now)
        return min(until) if until else None

    def _bookmark_is_due(self) -> bool:
        return self._bookmarks and self._clock.monotonic() >= self._next_bookmark

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> Change:
        self._next_bookmark = self._clock.monotonic() + BOOKMARK_SECONDS
        metadata: dict[str, object] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        kind = self.kind
        value = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        return Change("BOOKMARK", orjson.dumps(value))

    def _change(self, record: Record) -> Change | None:
        if self._exact_key and record.key != self._exact_key:
            return None
        chosen = self._selection
        before = record.previous is not None and chosen.matches(record.previous)
        after = record.value is not None and chosen.matches(record.value)
        if after:
            assert record.value is not None
            return Change("MODIFIED" if before else "ADDED", record.value)
        if before:
            assert record.previous is not None
            # What leaves a selection shows its last matching state, at the new revision.
            return Change("DELETED", _at_revision(record.previous, record.revision))
        return None


class Refused:
    """A watch that ends at once with an ERROR: how Kubernetes says that a revision is gone."""

    def __init__(self, selection: Selection, error: errors.ApiError) -> None:
        self.kind, self.error = selection.kind, error

    def __iter__(self) -> Iterator[Change]:
        yield Change("ERROR", orjson.dumps(self.error.status()))

    def close(self) -> None:
        pass


@lru_cache(maxsize=128)
def line(type_: str, value: bytes) -> bytes:
    """An event as it goes over the wire."""
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), value)


@lru_cache(maxsize=64)
def _at_revision(value: bytes, revision: int) -> bytes:
    obj = orjson.loads(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return orjson.dumps(obj)
