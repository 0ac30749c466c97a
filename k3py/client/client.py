"""How every component talks to the API: one protocol, whatever the transport.

`apiserver.local` implements it in process, `client.remote` over HTTPS, `testing.client`
in memory. All raise `api.errors`; all return objects that are the caller's to change.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Protocol

from k3py.api.kind import Kind
from k3py.api.objects import Event, Key, Listing, Object


class Patch(Enum):
    """The ways to say what should change, by the media type that names them."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Watch(Protocol):
    """The changes of a kind, in order, until closed or until the server ends it.

    Iterating blocks. A watch that ends just stops iterating; one whose revision is gone
    raises errors.Expired, and whoever follows must list again.
    """

    def __iter__(self) -> Iterator[Event]: ...
    def close(self) -> None:
        """End the iteration, from any thread."""


class Client(Protocol):
    """Namespaces: "" is all of them, and none for cluster-scoped kinds.

    `labels` and `fields` are selectors in kubectl's syntax. `subresource` is "" for the
    object itself, or "status", "scale", "binding", "eviction", "token", "finalize" …
    """

    def get(self, kind: Kind, key: Key, *, subresource: str = "") -> Object: ...

    def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Listing: ...

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        since: int,
        labels: str = "",
        fields: str = "",
    ) -> Watch:
        """Changes after revision `since`, bookmarks among them."""

    def create(self, kind: Kind, obj: Object) -> Object:
        """Names come from metadata.name or metadata.generateName."""

    def create_at(self, kind: Kind, key: Key, subresource: str, obj: Object) -> Object:
        """POST to a subresource: binding, eviction, token."""

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        """Replace; errors.Conflict when obj's resourceVersion is not the newest."""

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
    ) -> Object: ...

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        grace: int | None = None,
        propagation: str = "",
        uid: str = "",
    ) -> None:
        """`grace` in seconds (None: the object's own); `propagation` Background, Foreground
        or Orphan; `uid` refuses to delete a namesake."""
