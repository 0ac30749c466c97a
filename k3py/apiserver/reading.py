"""Looking into the store from the server's own rules: admission, authorization, allocation."""

from collections.abc import Iterator

from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.apiserver import keys
from k3py.apiserver.selection import decoded
from k3py.store.store import Store


class Reader:
    """Stored objects, shared and not to be changed; no rules apply."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, kind: Kind, key: Key) -> Object | None:
        record = self._store.get(keys.key(kind, key))
        return decoded(record.value) if record and record.value is not None else None

    def holding(self, kind: Kind, namespace: str, *needles: bytes) -> Iterator[Object]:
        """The objects of a kind whose bytes contain every one of `needles`."""
        for record in self._store.list(keys.prefix(kind, namespace)).records:
            value = record.value
            if value is not None and all(needle in value for needle in needles):
                yield decoded(value)
