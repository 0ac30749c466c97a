"""An API of which tests say what it holds, and that remembers what is written to it."""

from typing import Any

from k3py import kinds
from k3py.api import meta
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects
from k3py.client.informer import Informers


class Client:
    """Only what the network writes: patches."""

    def __init__(self) -> None:
        self.patches: list[Any] = []

    def patch(self, kind: Kind, key: Key, change: Any, **_: Any) -> Object:
        self.patches.append([kind.plural, str(key), change])
        return {}


class Api:
    """Informers that follow what they are told."""

    def __init__(self) -> None:
        self.client = Client()
        self.informers = Informers(self.client)
        self._revision = 0

    def tell(self, plural: str, objects: Objects) -> None:
        """From now on there are these objects of a kind, and no others."""
        kind = next(kind for kind in kinds.ALL if kind.plural == plural)
        informer = self.informers.of(kind)
        self._revision += 1
        informer.replace([self._told(o, informer.cache.get(meta.key(o))) for o in objects], 0)

    def _told(self, obj: Object, known: Object | None) -> Object:
        """With the revision it had, where nothing else is new."""
        old = known["metadata"].get("resourceVersion") if known else None
        for revision in (old, str(self._revision)):
            told = obj | {"metadata": obj["metadata"] | {"resourceVersion": revision}}
            if told == known:
                break
        return told
