"""A Client that reads the informers' caches and writes through to the API.

Never act on a cache older than your own last write: CachedClient remembers what it wrote,
and `settle` waits until the caches show it. Objects it reads are shared: build new ones,
never change them.
"""

import threading
from collections.abc import Callable
from typing import Any

from k3py.api import errors, meta
from k3py.api import fields as field_selectors
from k3py.api import labels as label_selectors
from k3py.api.kind import Kind
from k3py.api.objects import Key, Listing, Object
from k3py.base.clock import SYSTEM, Clock
from k3py.client.cache import Cache
from k3py.client.client import Client, Patch, Watch
from k3py.client.informer import Informers


class CachedClient:
    """Kinds that no informer follows as a whole are read from the API; so is everything
    through `live`, whose answers are the newest and the caller's own.
    """

    def __init__(self, client: Client, informers: Informers, *, clock: Clock = SYSTEM) -> None:
        self.live = client
        self._informers, self._clock = informers, clock
        self._lock = threading.Lock()  # guards the two below
        self._written: dict[Kind, int] = {}
        self._deleted: dict[tuple[Kind, Key], str] = {}

    def get(self, kind: Kind, key: Key, *, subresource: str = "") -> Object:
        cache = None if subresource else self._cache(kind)
        if cache is None:
            return self.live.get(kind, key, subresource=subresource)
        found = cache.get(key)
        if found is None:
            raise errors.not_found(kind, key.name)
        return found

    def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Listing:
        cache = self._cache(kind)
        if cache is None or limit:
            return self.live.list(
                kind, namespace, labels=labels, fields=fields, limit=limit, continue_=continue_
            )
        revision, items = cache.revision, cache.list(namespace)
        if labels:
            by_label = label_selectors.parse(labels)
            items = [obj for obj in items if by_label.matches(meta.labels(obj))]
        if fields:
            by_field = field_selectors.parse(kind, fields)
            items = [obj for obj in items if by_field.matches(kind, obj)]
        return Listing(items, revision)

    def watch(
        self, kind: Kind, namespace: str = "", *, since: int, labels: str = "", fields: str = ""
    ) -> Watch:
        return self.live.watch(kind, namespace, since=since, labels=labels, fields=fields)

    def create(self, kind: Kind, obj: Object) -> Object:
        return self._wrote(kind, self.live.create(kind, obj))

    def create_at(self, kind: Kind, key: Key, subresource: str, obj: Object) -> Object:
        return self.live.create_at(kind, key, subresource, obj)

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        return self._wrote(kind, self.live.update(kind, obj, subresource=subresource))

    def patch(
        self,
        kind: Kind,
        key: Key,
        change: Any,
        *,
        how: Patch = Patch.MERGE,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
    ) -> Object:
        done = self.live.patch(
            kind, key, change, how=how, subresource=subresource, manager=manager, force=force
        )
        return self._wrote(kind, done)

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        grace: int | None = None,
        propagation: str = "",
        uid: str = "",
    ) -> None:
        self.live.delete(kind, key, grace=grace, propagation=propagation, uid=uid)
        cache = self._cache(kind)
        known = cache.get(key) if cache else None
        if known is not None and not meta.is_deleting(known):
            with self._lock:
                self._deleted[kind, key] = meta.uid(known)

    def settle(self, seconds: float) -> bool:
        """Wait up to `seconds` until the caches show every write made here; whether they do.

        What they do not show by then is waited for no longer: a worker that met a stalled
        informer goes on with what there is.
        """
        with self._lock:
            written, deleted = dict(self._written), dict(self._deleted)
        until = self._clock.monotonic() + seconds

        def left() -> float:
            return max(0.0, until - self._clock.monotonic())

        settled = True
        for kind, revision in written.items():
            cache = self._cache(kind)
            settled &= cache is None or cache.wait_for(revision, left())
        for (kind, key), uid in deleted.items():
            cache = self._cache(kind)
            settled &= cache is None or cache.wait_until(_goes(cache, key, uid), left())
        with self._lock:
            self._written = {k: r for k, r in self._written.items() if written.get(k) != r}
            self._deleted = {k: u for k, u in self._deleted.items() if deleted.get(k) != u}
        return settled

    def _cache(self, kind: Kind) -> Cache | None:
        informer = self._informers.existing(kind)
        return informer.cache if informer and informer.is_synced else None

    def _wrote(self, kind: Kind, obj: Object) -> Object:
        revision = meta.revision(obj)
        with self._lock:
            self._written[kind] = max(revision, self._written.get(kind, 0))
        return obj


def _goes(cache: Cache, key: Key, uid: str) -> Callable[[], bool]:
    def shown() -> bool:
        known = cache.get(key)
        return known is None or meta.uid(known) != uid or meta.is_deleting(known)

    return shown
