"""Informers that are told, and a client that remembers what was written."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from k3py.api import meta
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects


class Cache:
    def __init__(self) -> None:
        self._objects: dict[Key, Object] = {}
        self._indexes: dict[str, Callable[[Object], Iterable[str]]] = {}

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def list(self, namespace: str = "") -> Objects:
        return [o for k, o in self._objects.items() if namespace in ("", k.namespace)]

    def by(self, index: str, value: str) -> Objects:
        return [o for o in self._objects.values() if value in self._indexes[index](o)]

    def add_index(self, name: str, values: Callable[[Object], Iterable[str]]) -> None:
        self._indexes[name] = values


class Informer:
    def __init__(self) -> None:
        self.cache = Cache()
        self._handlers: list[Callable[[Object | None, Object | None], Any]] = []
        self._synced = threading.Event()

    def subscribe(self, handler: Callable[[Object | None, Object | None], Any]) -> None:
        self._handlers.append(handler)
        for obj in self.cache.list():
            handler(None, obj)

    def wait_synced(self, seconds: float) -> bool:
        return self._synced.wait(seconds)

    def replace(self, objects: Objects) -> None:
        """From now on these exist, and no others."""
        old, new = self.cache._objects, {meta.key(obj): obj for obj in objects}
        self.cache._objects = new
        for key in old.keys() | new.keys():
            if old.get(key) != new.get(key):
                for handler in self._handlers:
                    handler(old.get(key), new.get(key))
        self._synced.set()


class Informers:
    def __init__(self) -> None:
        self._by_plural: dict[str, Informer] = {}

    def of(self, kind: Kind, *, fields: str = "") -> Informer:
        return self._by_plural.setdefault(kind.plural, Informer())

    def tell(self, plural: str, objects: Objects) -> None:
        self._by_plural.setdefault(plural, Informer()).replace(objects)


class Client:
    """Only what the network writes: patches."""

    def __init__(self) -> None:
        self.patches: list[Any] = []

    def patch(self, kind: Kind, key: Key, change: Any, **_: Any) -> Object:
        self.patches.append([kind.plural, str(key), change])
        return {}
