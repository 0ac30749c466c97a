"""An API in memory, which implements the Client protocol and notes what is written.

    client = FakeClient((kinds.POD, pod("web-1")))
    client.delete(kinds.POD, Key("default", "web-1"))
    client.writes == ["delete Pod/web-1"]

It keeps the rules that callers rely on (revisions and conflicts, generated names, the two
halves of spec and status, graceful deletion, finalizers, selectors, watches) and no others:
it validates nothing and asks nobody for permission.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from k3py.api import errors, fields, labels, meta, objects, times
from k3py.api.kind import Kind
from k3py.api.objects import Event, Key, Listing, Object, Objects
from k3py.base.clock import Clock
from k3py.client.client import Patch
from k3py.client.informer import Informer, Informers, Trim
from k3py.testing.clock import FakeClock

_NOTES = ("labels", "annotations")
Place = tuple[str, Key]  # a kind's resource, and the object


class FakeClient:
    """Holds the objects given, complete as a server would have made them."""

    def __init__(self, *objects_: tuple[Kind, Object], clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.writes: list[str] = []
        self.revision = 0
        self._objects: dict[Place, Object] = {}
        self._history: list[tuple[int, Kind, Event]] = []
        self._forgotten = 0
        self._changed = threading.Condition(threading.RLock())  # guards all of it
        self._listeners: list[Callable[[Kind, Event], object]] = []
        self._refusals: list[tuple[str, errors.ApiError]] = []
        self._generated = 0
        for kind, obj in objects_:
            self.put(kind, obj)

    # What a test arranges and asks.

    def put(self, kind: Kind, obj: Object) -> Object:
        """Make `obj` be there as it is, status and all, without a note in `writes`."""
        with self._changed:
            old = self._objects.get(_place(kind, meta.key(obj)))
            made = self._complete(kind, objects.copy(obj), old)
            return self._store(kind, made, old)

    def remove(self, kind: Kind, key: Key) -> None:
        """Make it gone, whatever its finalizers, without a note in `writes`."""
        with self._changed:
            self._erase(kind, self._objects[_place(kind, key)])

    def all(self, kind: Kind) -> Objects:
        """Every object of the kind, as stored."""
        with self._changed:
            return [o for (resource, _), o in self._objects.items() if resource == kind.resource]

    def refuse(self, write: str, error: errors.ApiError) -> None:
        """Answer the next write whose note begins with `write` with `error`."""
        self._refusals.append((write, error))

    def forget_history(self) -> None:
        """Compact: watches from before now are Expired."""
        with self._changed:
            self._history.clear()
            self._forgotten = self.revision
            self._changed.notify_all()

    def listen(self, listener: Callable[[Kind, Event], object]) -> None:
        """Call `listener` with every change, within the call that makes it."""
        self._listeners.append(listener)

    # The Client protocol.

    def get(self, kind: Kind, key: Key, *, subresource: str = "") -> Object:
        with self._changed:
            found: Object = objects.copy(self._found(kind, key))
            return _scale(found) if subresource == "scale" else found

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
        chosen = _Selection(kind, namespace, labels, fields)
        with self._changed:
            found = sorted(filter(chosen.has, self.all(kind)), key=meta.key)
            start = int(continue_ or 0)
            end = start + limit if limit else len(found)
            left = max(0, len(found) - end)
            items = [objects.copy(obj) for obj in found[start:end]]
            return Listing(items, self.revision, str(end) if left else "", left or None)

    def watch(
        self, kind: Kind, namespace: str = "", *, since: int, labels: str = "", fields: str = ""
    ) -> "FakeWatch":
        with self._changed:
            if since < self._forgotten:
                raise errors.Expired("The resourceVersion for the provided watch is too old.")
        return FakeWatch(self, _Selection(kind, namespace, labels, fields), since)

    def create(self, kind: Kind, obj: Object) -> Object:
        with self._changed:
            obj = objects.copy(obj)
            self._name(obj)
            self._note(f"create {kind.kind}/{obj['metadata']['name']}")
            if _place(kind, meta.key(obj)) in self._objects:
                raise errors.already_exists(kind, obj["metadata"]["name"])
            if kind.has_status:
                obj.pop("status", None)
            made = self._complete(kind, obj, None)
            kind.prepare(made, None)
            return self._store(kind, made, None)

    def create_at(self, kind: Kind, key: Key, subresource: str, obj: Object) -> Object:
        with self._changed:
            self._note(f"create {kind.kind}/{key.name}/{subresource}")
            old = self._found(kind, key)
            if subresource == "binding":
                bound = old | {"spec": old["spec"] | {"nodeName": obj["target"]["name"]}}
                self._store(kind, bound, old)
            if subresource == "eviction":
                self._delete(kind, old, None, "")
            return obj

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        with self._changed:
            where = f"/{subresource}" if subresource else ""
            self._note(f"update {kind.kind}/{obj['metadata']['name']}{where}")
            return self._update(kind, objects.copy(obj), subresource)

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
        with self._changed:
            where = f"/{subresource}" if subresource else ""
            self._note(f"patch {kind.kind}/{key.name}{where}")
            old = self._found(kind, key)
            new = _patched(objects.copy(old), objects.copy(change), how)
            return self._update(kind, new, subresource)

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        grace: int | None = None,
        propagation: str = "",
        uid: str = "",
    ) -> None:
        with self._changed:
            self._note(f"delete {kind.kind}/{key.name}")
            old = self._found(kind, key)
            if uid and meta.uid(old) != uid:
                raise errors.conflict(kind, key.name, "the UID in the precondition differs")
            self._delete(kind, old, grace, propagation)

    # How it works.

    def changes(self, since: int) -> Sequence[tuple[int, Kind, Event]]:
        return [change for change in self._history if change[0] > since]

    @property
    def changed(self) -> threading.Condition:
        return self._changed

    def _note(self, write: str) -> None:
        for refusal in self._refusals:
            if write.startswith(refusal[0]):
                self._refusals.remove(refusal)
                raise refusal[1]
        self.writes.append(write)

    def _found(self, kind: Kind, key: Key) -> Object:
        try:
            return self._objects[_place(kind, key)]
        except KeyError:
            raise errors.not_found(kind, key.name) from None

    def _name(self, obj: Object) -> None:
        """Generated names end in 1, 2, 3 …, so that tests can tell them."""
        about = obj["metadata"]
        if not about.get("name") and "generateName" in about:
            self._generated += 1
            about["name"] = f"{about['generateName']}{self._generated}"

    def _complete(self, kind: Kind, obj: Object, old: Object | None) -> Object:
        about = obj["metadata"]
        if kind.namespaced:
            about.setdefault("namespace", "default")
        seed = f"{kind.resource}/{meta.key(obj)}/{self.revision}"
        about.setdefault("uid", meta.uid(old) if old else str(uuid5(NAMESPACE_OID, seed)))
        about.setdefault("creationTimestamp", times.stamp(self.clock.now()))
        if "spec" in obj:
            about.setdefault("generation", 1)
        obj.setdefault("apiVersion", kind.api_version)
        obj.setdefault("kind", kind.kind)
        kind.default(obj)
        return obj

    def _update(self, kind: Kind, obj: Object, subresource: str) -> Object:
        old = self._found(kind, meta.key(obj))
        if subresource == "scale":
            obj = old | {"spec": old["spec"] | {"replicas": obj["spec"]["replicas"]}}
        said = obj["metadata"].get("resourceVersion")
        if said and said != old["metadata"]["resourceVersion"]:
            raise errors.conflict(kind, obj["metadata"]["name"])
        if obj["metadata"].get("uid", meta.uid(old)) != meta.uid(old):
            raise errors.conflict(kind, obj["metadata"]["name"], "the UID differs")
        new = self._halves(kind, obj, old, subresource)
        kept = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
        about = {k: v for k, v in new["metadata"].items() if k not in kept}
        about |= {k: old["metadata"][k] for k in kept if k in old["metadata"]}
        new = self._complete(kind, new | {"metadata": about}, old)
        if not subresource:
            kind.prepare(new, old)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if _is_done_for(kind, new):
            self._erase(kind, old)
            return new
        return self._store(kind, new, old)

    def _halves(self, kind: Kind, obj: Object, old: Object, subresource: str) -> Object:
        """What a write may change: the status (with labels and annotations) or all but that."""
        if subresource == "status":
            about = {k: v for k, v in old["metadata"].items() if k not in _NOTES}
            about |= {k: v for k, v in obj["metadata"].items() if k in _NOTES and v}
            return old | {"metadata": objects.copy(about), "status": obj.get("status")}
        if subresource == "finalize":
            return old | {"metadata": objects.copy(old["metadata"]), "spec": obj["spec"]}
        if kind.has_status and "status" in old:
            return obj | {"status": old["status"]}
        return obj

    def _delete(self, kind: Kind, old: Object, grace: int | None, propagation: str) -> None:
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        finalizers = [*old["metadata"].get("finalizers", ()), *filter(None, [finalizer])]
        seconds = _grace(kind, old, grace)
        if not seconds and not finalizers and not _waits_to_be_finalized(kind, old):
            self._erase(kind, old)
            return
        about = old["metadata"] | {"finalizers": finalizers}
        if not finalizers:
            del about["finalizers"]
        about.setdefault("deletionTimestamp", times.stamp(self.clock.now()))
        about["deletionGracePeriodSeconds"] = seconds
        new = old | {"metadata": about}
        if _waits_to_be_finalized(kind, old):
            new["status"] = old.get("status", {}) | {"phase": "Terminating"}
        self._store(kind, new, old)

    def _store(self, kind: Kind, new: Object, old: Object | None) -> Object:
        if old and _unversioned(new) == _unversioned(old):
            new = old  # nothing changed
        else:
            new = self._versioned(kind, new, old)
        copy: Object = objects.copy(new)
        return copy

    def _versioned(self, kind: Kind, new: Object, old: Object | None) -> Object:
        self.revision += 1
        new = new | {"metadata": new["metadata"] | {"resourceVersion": str(self.revision)}}
        self._objects[_place(kind, meta.key(new))] = new
        self._tell(kind, Event("MODIFIED" if old else "ADDED", new))
        return new

    def _erase(self, kind: Kind, old: Object) -> None:
        self.revision += 1
        del self._objects[_place(kind, meta.key(old))]
        about = old["metadata"] | {"resourceVersion": str(self.revision)}
        self._tell(kind, Event("DELETED", old | {"metadata": about}))

    def _tell(self, kind: Kind, event: Event) -> None:
        self._history.append((self.revision, kind, event))
        self._changed.notify_all()
        for listener in self._listeners:
            listener(kind, Event(event.type, objects.copy(event.object)))


class FakeWatch:
    """The changes of a FakeClient, past and future."""

    def __init__(self, client: FakeClient, selection: "_Selection", since: int) -> None:
        self._client, self._selection, self._since = client, selection, since
        self._closed = False

    def __iter__(self) -> Iterator[Event]:
        while True:
            with self._client.changed:
                while not self._closed and not self._client.changes(self._since):
                    self._client.changed.wait()
                if self._closed:
                    return
                batch = self._client.changes(self._since)
            for revision, kind, event in batch:
                self._since = revision
                if told := self._selection.told(kind, event):
                    yield Event(told.type, objects.copy(told.object))

    def close(self) -> None:
        with self._client.changed:
            self._closed = True
            self._client.changed.notify_all()


class FakeInformers(Informers):
    """Informers without threads: their caches follow a FakeClient within each write."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(client, clock=client.clock)
        self._fake = client
        self._following: list[tuple[Kind, str, Informer]] = []
        client.listen(self._follow)

    def check_unchanged(self) -> None:
        """Nobody may have changed an object of a cache: they are shared."""
        for kind in {kind for kind, _, _ in self._following}:
            if whole := self.existing(kind):
                for obj in whole.cache.list():
                    assert obj == self._fake.get(kind, meta.key(obj)), f"changed: {obj}"

    def _make(self, kind: Kind, fields: str, trim: Trim | None) -> Informer:
        informer = super()._make(kind, fields, trim)
        listing = self._fake.list(kind, fields=fields)
        informer.replace(listing.items, listing.revision)
        self._following.append((kind, fields, informer))
        return informer

    def _follow(self, kind: Kind, event: Event) -> None:
        for followed, fields_, informer in self._following:
            told = _Selection(followed, "", "", fields_).told(kind, event)
            if told:
                informer.apply(Event(told.type, objects.copy(told.object)))


class FakeRecorder:
    """Notes events as `Normal Scheduled Pod/web-1: Successfully assigned …`."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def of(self, component: str) -> "FakeRecorder":
        """Whoever says it, it is noted here."""
        return self

    def event(
        self, kind: Kind, obj: Object, type_: str, reason: str, message: str, *, field: str = ""
    ) -> None:
        about = f"{kind.kind}/{obj['metadata']['name']}" + (f" {field}" if field else "")
        self.events.append(f"{type_} {reason} {about}: {message}")


class _Selection:
    """Which objects a list or a watch is about."""

    def __init__(self, kind: Kind, namespace: str, labels_: str, fields_: str) -> None:
        self._kind, self._namespace = kind, namespace
        self._labels, self._fields = labels.parse(labels_), fields.parse(kind, fields_)

    def has(self, obj: Object) -> bool:
        return (
            self._namespace in ("", obj["metadata"].get("namespace"))
            and self._labels.matches(meta.labels(obj))
            and self._fields.matches(self._kind, obj)
        )

    def told(self, kind: Kind, event: Event) -> Event | None:
        """How a watch tells a change: what leaves the selection looks deleted."""
        if kind.resource != self._kind.resource:
            return None
        if self.has(event.object):
            return event
        return None if event.type == "ADDED" else Event("DELETED", event.object)


def _place(kind: Kind, key: Key) -> Place:
    return kind.resource, key


def _unversioned(obj: Object) -> Object:
    return obj | {"metadata": obj["metadata"] | {"resourceVersion": ""}}


def _is_done_for(kind: Kind, obj: Object) -> bool:
    return (
        meta.is_deleting(obj)
        and not obj["metadata"].get("finalizers")
        and not obj["metadata"].get("deletionGracePeriodSeconds")
        and not _waits_to_be_finalized(kind, obj)
    )


def _waits_to_be_finalized(kind: Kind, obj: Object) -> bool:
    return "finalize" in kind.subresources and bool(obj.get("spec", {}).get("finalizers"))


def _grace(kind: Kind, obj: Object, asked: int | None) -> int:
    """Seconds; only a pod that may be running somewhere is given any."""
    if kind.kind != "Pod" or not obj["spec"].get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    own: int = obj["spec"].get("terminationGracePeriodSeconds", 30)
    return own if asked is None else asked


def _scale(obj: Object) -> Object:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": obj["metadata"],
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0)},
    }


def _patched(obj: Object, change: Any, how: Patch) -> Object:
    if how is Patch.MERGE:
        merged: Object = _merged(obj, change)
        return merged
    if how is Patch.JSON:
        import jsonpatch

        done: Object = jsonpatch.apply_patch(obj, change)
        return done
    raise errors.UnsupportedMediaType(f"the fake knows no {how.value}")


def _merged(old: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return change
    result = dict(old) if isinstance(old, dict) else {}
    for k, v in change.items():
        if v is None:
            result.pop(k, None)
        else:
            result[k] = _merged(result.get(k), v)
    return result
