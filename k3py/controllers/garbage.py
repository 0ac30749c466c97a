"""Garbage: what is owned goes when the last of its owners is gone.

    owner gone                          its dependents are deleted (background)
    owner deleting, foregroundDeletion  its dependents are deleted; those that block it first
    owner deleting, orphan              its dependents forget it, and live on

Owners are found in caches of everything's metadata. That an owner is *absent* is never
concluded from a cache alone: the API is asked.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from k3py.api import errors, meta, wellknown
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cache import Cache
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Loop
from k3py.kinds import ALL, EVENT

BY_OWNER = "owner"
# Events own nothing, and are too many to look at.
_KINDS = tuple(kind for kind in ALL if not kind.virtual and kind is not EVENT)
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in ALL}
_KEPT = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
    "finalizers",
    "deletionTimestamp",
)
_REMEMBERED = 512


class Item(NamedTuple):
    """An object, whatever its kind."""

    kind: Kind
    key: Key


@dataclass
class _Owners:
    """Owner references, by what became of the owners."""

    solid: Objects = field(default_factory=list)
    absent: Objects = field(default_factory=list)
    going: Objects = field(default_factory=list)  # and wait for their dependents to go first


class GarbageCollector(Loop[Item]):
    workers = 2

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._caches: dict[Kind, Cache] = {}
        self._absent: OrderedDict[str, None] = OrderedDict()
        for kind in _KINDS:
            # A kind that is followed as a whole anyway is not followed twice.
            informer = informers.existing(kind) or informers.of(kind, trim=_identity)
            informer.cache.add_index(BY_OWNER, _owner_uids)
            self._caches[kind] = informer.cache
            self.attend(informer, partial(self._changed, kind))

    def reconcile(self, item: Item) -> None:
        obj = self._caches[item.kind].get(item.key)
        if obj is None:
            return
        if meta.is_deleting(obj):
            self._help_go(item, obj)
        elif obj["metadata"].get("ownerReferences"):
            self._judge(item, obj)

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._queue_all(self._dependents(meta.uid(old)))
                self._queue_all(self._waiting_owners(old))
        elif meta.is_deleting(new):
            if _has_finalizer(new, wellknown.FINALIZER_FOREGROUND, wellknown.FINALIZER_ORPHAN):
                self.queue.add(Item(kind, meta.key(new)))
        elif old is None or _refs(old) != _refs(new):
            if _refs(new):
                self.queue.add(Item(kind, meta.key(new)))
            if old is not None:
                self._queue_all(self._waiting_owners(old))

    def _judge(self, item: Item, obj: Object) -> None:
        """Delete what nobody owns any more; forget the owners that are no more."""
        owners = self._owners(obj)
        if owners.solid:
            if gone := [*owners.absent, *owners.going]:
                self._forget(item, obj, gone)
            return
        if not owners.absent and not owners.going:
            return
        has_dependents = any(self._dependents(meta.uid(obj)))
        propagation = "Foreground" if owners.going and has_dependents else "Background"
        if _has_finalizer(obj, wellknown.FINALIZER_ORPHAN):
            propagation = "Orphan"
        try:
            self.client.delete(item.kind, item.key, propagation=propagation, uid=meta.uid(obj))
        except errors.NotFound:
            return

    def _help_go(self, item: Item, obj: Object) -> None:
        """Take from an object that is being deleted what still holds it, once nothing should."""
        dependents = list(self._dependents(meta.uid(obj)))
        if _has_finalizer(obj, wellknown.FINALIZER_ORPHAN):
            for dependent in dependents:
                found = self._caches[dependent.kind].get(dependent.key)
                if found is not None:
                    self._forget(dependent, found, _refs_to(found, meta.uid(obj)))
            self._release(item, obj, wellknown.FINALIZER_ORPHAN)
        elif _has_finalizer(obj, wellknown.FINALIZER_FOREGROUND):
            if any(self._blocks(dependent, meta.uid(obj)) for dependent in dependents):
                self._queue_all(dependents)
            else:
                self._release(item, obj, wellknown.FINALIZER_FOREGROUND)

    def _blocks(self, dependent: Item, owner: str) -> bool:
        obj = self._caches[dependent.kind].get(dependent.key)
        return obj is not None and any(
            ref.get("blockOwnerDeletion") for ref in _refs_to(obj, owner)
        )

    def _owners(self, obj: Object) -> _Owners:
        found = _Owners()
        for ref in _refs(obj):
            owner = self._find_owner(obj, ref)
            if owner is None:
                found.absent.append(ref)
            elif meta.is_deleting(owner) and _has_finalizer(owner, wellknown.FINALIZER_FOREGROUND):
                found.going.append(ref)
            else:
                found.solid.append(ref)
        return found

    def _find_owner(self, obj: Object, ref: Object) -> Object | None:
        """The owner, or None when there surely is none.

        An owner of a kind that is not known here, or that a cluster-scoped object could not
        have, cannot be judged: it counts as there.
        """
        kind = _BY_NAME.get((ref["apiVersion"], ref["kind"]))
        namespace = obj["metadata"].get("namespace", "")
        if kind is None or kind.virtual or (kind.namespaced and not namespace):
            return ref | {"metadata": {}}
        if ref["uid"] in self._absent:
            return None
        key = Key(namespace if kind.namespaced else "", ref["name"])
        cache = self._caches.get(kind)
        owner = cache.get(key) if cache else None
        if owner is None or meta.uid(owner) != ref["uid"]:
            owner = self._ask(kind, key)
        if owner is not None and meta.uid(owner) == ref["uid"]:
            return owner
        self._absent[ref["uid"]] = None  # a uid never comes back
        while len(self._absent) > _REMEMBERED:
            self._absent.popitem(last=False)
        return None

    def _ask(self, kind: Kind, key: Key) -> Object | None:
        try:
            return self.client.live.get(kind, key)
        except errors.NotFound:
            return None

    def _forget(self, item: Item, obj: Object, gone: Objects) -> None:
        uids = {ref["uid"] for ref in gone}
        kept = [ref for ref in _refs(obj) if ref["uid"] not in uids]
        self._patch(item, obj, {"ownerReferences": kept or None})

    def _release(self, item: Item, obj: Object, finalizer: str) -> None:
        kept = [f for f in obj["metadata"]["finalizers"] if f != finalizer]
        self._patch(item, obj, {"finalizers": kept or None})

    def _patch(self, item: Item, obj: Object, change: Object) -> None:
        """Change the very version that was judged; another one is judged anew."""
        version = {"uid": meta.uid(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}
        try:
            self.client.patch(item.kind, item.key, {"metadata": version | change})
        except errors.NotFound:
            return

    def _dependents(self, uid: str) -> Iterator[Item]:
        for kind, cache in self._caches.items():
            for obj in cache.by(BY_OWNER, uid):
                yield Item(kind, meta.key(obj))

    def _waiting_owners(self, obj: Object) -> Iterator[Item]:
        """The owners that may have waited for `obj` to go."""
        for ref in _refs(obj):
            kind = _BY_NAME.get((ref["apiVersion"], ref["kind"]))
            if kind in self._caches and ref.get("blockOwnerDeletion"):
                assert kind is not None
                namespace = obj["metadata"].get("namespace", "") if kind.namespaced else ""
                yield Item(kind, Key(namespace, ref["name"]))

    def _queue_all(self, items: Iterable[Item]) -> None:
        for item in items:
            self.queue.add(item)


def _identity(obj: Object) -> Object:
    about = obj["metadata"]
    return {"metadata": {name: about[name] for name in _KEPT if name in about}}


def _refs(obj: Object) -> Objects:
    return obj["metadata"].get("ownerReferences") or []


def _refs_to(obj: Object, uid: str) -> Objects:
    return [ref for ref in _refs(obj) if ref["uid"] == uid]


def _owner_uids(obj: Object) -> Iterable[str]:
    return {ref["uid"] for ref in _refs(obj)}


def _has_finalizer(obj: Object, *names: str) -> bool:
    return any(name in (obj["metadata"].get("finalizers") or ()) for name in names)
