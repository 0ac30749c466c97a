"""List, watch, and again: a cache that follows the API.

    list ──► watch ──► (ended) ──► watch from the last revision
     ▲                    │
     └──── Expired ◄──────┘

The watch starts at the revision of the list, so nothing falls between them. Handlers are
called with (old, new), in the order of the changes, by the informer's thread: they only
note what to look at again. Objects come without metadata.managedFields, which no component
reads and which would be most of the memory.
"""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from k3py.api import errors, meta
from k3py.api.kind import Kind
from k3py.api.objects import Event, Object, Objects
from k3py.base import threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.cache import Cache, Change
from k3py.client.client import Client, Watch

Handler = Callable[[Object | None, Object | None], object]
Trim = Callable[[Object], Object]

PAGE = 500
log = Log("k3py.client.informer")


class Informer:
    """`trim` reduces each object to what its readers need, before it is kept."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        trim: Trim | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.kind, self.cache = kind, Cache()
        self._client, self._trim, self._clock = client, trim or _without_managed_fields, clock
        self._namespace, self._selectors = namespace, {"labels": labels, "fields": fields}
        self._handlers: list[Handler] = []
        self._telling = threading.RLock()  # held while handlers are told, so each hears all
        self._synced = threading.Event()
        self._watch: Watch | None = None
        self._listed = False
        self._failing = False
        self._backoff: Backoff[str] = Backoff(0.2, 5)

    def subscribe(self, handler: Handler) -> None:
        """Tell `handler` of all there is, as (None, new), and then of every change."""
        with self._telling:
            self._handlers.append(handler)
            for obj in self.cache.list():
                self._tell(handler, None, obj)

    def run(self, stop: threads.Stop) -> None:
        def close() -> None:
            stop.wait()
            self.close()

        threads.spawn(f"informer/{self.kind.plural}/stop", close)
        self.follow(stop)

    def follow(self, stop: threads.Stop) -> None:
        """Like `run`, for a caller that calls `close` itself once `stop` is set."""
        while not stop.is_set():
            try:
                if not self._listed:
                    self._list()
                self._follow_watch(stop)
            except (errors.Expired, errors.Gone):
                self._listed = False
                log.debug("revision expired, listing again", kind=self.kind.plural)
            except errors.Timeout as failure:
                # The server may never have heard of our revision: it was set back to a backup.
                self._listed = False
                self._note_failure(failure)
            except errors.ApiError as failure:
                self._note_failure(failure)
            if not stop.is_set() and (seconds := self._backoff.next("")):
                self._clock.wait(stop, seconds)

    def close(self) -> None:
        """End the watch that is under way, if any."""
        watch = self._watch
        if watch is not None:
            watch.close()

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    def wait_synced(self, seconds: float) -> bool:
        """Wait until the first list is in the cache and the handlers know it; whether it is."""
        return self._synced.wait(seconds)

    def replace(self, objects: Objects, revision: int) -> None:
        """Make the cache hold exactly `objects`, the state at `revision`."""
        with self._telling:
            self._tell_all(self.cache.replace([self._trim(o) for o in objects], revision))
        self._listed = True
        self._synced.set()

    def apply(self, event: Event) -> None:
        """Take in one change."""
        match event.type:
            case "ERROR":
                raise errors.from_status(event.object)
            case "BOOKMARK":
                self.cache.advance(meta.revision(event.object))
            case "DELETED":
                with self._telling:
                    self._tell_all([self.cache.remove(self._trim(event.object))])
            case _:
                with self._telling:
                    self._tell_all([self.cache.put(self._trim(event.object))])

    def _list(self) -> None:
        found: Objects = []
        continue_ = ""
        while True:
            page = self._client.list(
                self.kind, self._namespace, **self._selectors, limit=PAGE, continue_=continue_
            )
            found += page.items
            continue_ = page.continue_
            if not continue_:
                break
        self.replace(found, page.revision)

    def _follow_watch(self, stop: threads.Stop) -> None:
        watch = self._client.watch(
            self.kind, self._namespace, since=self.cache.revision, **self._selectors
        )
        self._watch = watch
        try:
            if stop.is_set():  # `close` may have come before there was a watch
                return
            self._note_success()
            for event in watch:
                self.apply(event)
                self._backoff.forget("")
        finally:
            self._watch = None
            watch.close()

    def _tell_all(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.old is not None or change.new is not None:
                for handler in self._handlers:
                    self._tell(handler, change.old, change.new)

    def _tell(self, handler: Handler, old: Object | None, new: Object | None) -> None:
        try:
            handler(old, new)
        except Exception:
            log.exception("handler failed", kind=self.kind.plural)

    def _note_failure(self, failure: errors.ApiError) -> None:
        if not self._failing:
            self._failing = True
            log.warning("cannot follow, will retry", kind=self.kind.plural, why=failure)

    def _note_success(self) -> None:
        if self._failing:
            self._failing = False
            log.info("following again", kind=self.kind.plural)


class _Shape(NamedTuple):
    kind: Kind
    fields: str
    trim: Trim | None


class Informers:
    """The informers of a process, shared: one for each kind, field selector and trim."""

    def __init__(self, client: Client, *, clock: Clock = SYSTEM) -> None:
        self._client, self._clock = client, clock
        self._lock = threading.Lock()  # guards the two below
        self._informers: dict[_Shape, Informer] = {}
        self._group: threads.Group | None = None

    def of(self, kind: Kind, *, fields: str = "", trim: Trim | None = None) -> Informer:
        """The one informer; a new one starts at once when the others already run."""
        shape = _Shape(kind, fields, trim)
        with self._lock:
            informer = self._informers.get(shape)
            if informer is None:
                informer = self._make(kind, fields, trim)
                self._informers[shape] = informer
                if self._group:
                    self._start(self._group, informer)
            return informer

    def existing(self, kind: Kind) -> Informer | None:
        """The informer of all of `kind` with all they contain, if somebody asked for it."""
        return self._informers.get(_Shape(kind, "", None))

    def start(self, group: threads.Group) -> None:
        with self._lock:
            self._group = group
            for informer in self._informers.values():
                self._start(group, informer)
        group.start("informers/stop", self._close)

    def wait_synced(self, seconds: float) -> bool:
        """Wait until all of them are synced; whether they are."""
        until = self._clock.monotonic() + seconds
        with self._lock:
            informers = [*self._informers.values()]
        return all(i.wait_synced(max(0.0, until - self._clock.monotonic())) for i in informers)

    def _make(self, kind: Kind, fields: str, trim: Trim | None) -> Informer:
        return Informer(self._client, kind, fields=fields, trim=trim, clock=self._clock)

    def _start(self, group: threads.Group, informer: Informer) -> None:
        group.start(f"informer/{informer.kind.plural}", informer.follow)

    def _close(self, stop: threads.Stop) -> None:
        stop.wait()
        with self._lock:
            informers = [*self._informers.values()]
        for informer in informers:
            informer.close()


def _without_managed_fields(obj: Object) -> Object:
    obj["metadata"].pop("managedFields", None)
    return obj
