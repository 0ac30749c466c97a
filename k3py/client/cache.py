"""The newest known objects of one kind, indexed; shared by all readers, changed by none of them."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from k3py.api import meta
from k3py.api.objects import Key, Object, Objects

Indexer = Callable[[Object], Iterable[str]]


class Change(NamedTuple):
    """What an object was and is; None where it was or is not."""

    old: Object | None
    new: Object | None


class Cache:
    """Only its informer calls `put`, `remove`, `replace` and `advance`."""

    def __init__(self) -> None:
        self.revision = 0
        self._changed = threading.Condition()  # guards all that follows
        self._spaces: dict[str, dict[str, Object]] = {}
        self._indexers: dict[str, Indexer] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}

    def get(self, key: Key) -> Object | None:
        return self._spaces.get(key.namespace, {}).get(key.name)

    def list(self, namespace: str = "") -> Objects:
        with self._changed:
            if namespace:
                return [*self._spaces.get(namespace, {}).values()]
            return [obj for space in self._spaces.values() for obj in space.values()]

    def by(self, index: str, value: str) -> Objects:
        """The objects for which the indexer of `index` yields `value`."""
        with self._changed:
            return [*self._indexes[index].get(value, {}).values()]

    def values(self, index: str) -> set[str]:
        """Everything that the indexer of `index` yields for any object."""
        with self._changed:
            return {*self._indexes[index]}

    def add_index(self, name: str, indexer: Indexer) -> None:
        """Naming an index that is there already changes nothing: the same name is the same rule."""
        with self._changed:
            if name not in self._indexers:
                self._indexers[name] = indexer
                self._indexes[name] = {}
                for space in self._spaces.values():
                    for obj in space.values():
                        self._index(name, obj)

    def wait_for(self, revision: int, seconds: float) -> bool:
        """Wait up to `seconds` until everything up to `revision` is here; whether it is."""
        return self.wait_until(lambda: self.revision >= revision, seconds)

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait up to `seconds` until a change makes `holds` true; whether it is."""
        with self._changed:
            return self._changed.wait_for(holds, seconds)

    def put(self, obj: Object) -> Change:
        with self._changed:
            change = Change(self._insert(obj), obj)
            self._advance(meta.revision(obj))
            return change

    def remove(self, obj: Object) -> Change:
        """Forget `obj`, whose resourceVersion is that of its deletion."""
        with self._changed:
            known = self._drop(meta.key(obj))
            self._advance(meta.revision(obj))
            return Change(known and obj, None)

    def replace(self, objects: Objects, revision: int) -> Sequence[Change]:
        """Hold exactly `objects`; what that changed.

        One that was deleted and made anew meanwhile is told of as that, not as changed. The
        revision may be an earlier one: that of a server that was set back to a backup.
        """
        with self._changed:
            stay = set(map(_identity, objects))
            gone = [
                old
                for space in self._spaces.values()
                for old in space.values()
                if _identity(old) not in stay
            ]
            changes = [Change(self._drop(meta.key(old)), None) for old in gone]
            for obj in objects:
                old = self._insert(obj)
                if old is None or meta.revision(old) != meta.revision(obj):
                    changes.append(Change(old, obj))
            self.revision = revision
            self._changed.notify_all()
            return changes

    def advance(self, revision: int) -> None:
        """Nothing of this kind changed up to `revision`."""
        with self._changed:
            self._advance(revision)

    def _advance(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        self._changed.notify_all()

    def _insert(self, obj: Object) -> Object | None:
        """Put `obj` in the place of its older self: whoever reads meanwhile sees one of them."""
        key = meta.key(obj)
        space = self._spaces.setdefault(key.namespace, {})
        old = space.get(key.name)
        if old is not None:
            for name in self._indexers:
                self._unindex(name, old)
        space[key.name] = obj
        for name in self._indexers:
            self._index(name, obj)
        return old

    def _drop(self, key: Key) -> Object | None:
        space = self._spaces.get(key.namespace, {})
        old = space.pop(key.name, None)
        if old is not None:
            for name in self._indexers:
                self._unindex(name, old)
            if not space:
                del self._spaces[key.namespace]
        return old

    def _index(self, name: str, obj: Object) -> None:
        for value in self._indexers[name](obj):
            self._indexes[name].setdefault(value, {})[meta.key(obj)] = obj

    def _unindex(self, name: str, obj: Object) -> None:
        index = self._indexes[name]
        for value in self._indexers[name](obj):
            found = index.get(value, {})
            found.pop(meta.key(obj), None)
            if not found:
                index.pop(value, None)


def _identity(obj: Object) -> tuple[Key, str]:
    return meta.key(obj), obj["metadata"].get("uid", "")
