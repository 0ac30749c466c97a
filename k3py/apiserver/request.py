"""What is asked: the same whether it came over HTTPS or from a component in this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k3py.api.kind import Kind
from k3py.api.objects import Key

WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """Who asks. `extra` says more about a credential, as a TokenReview does."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


@dataclass(frozen=True)
class Options:
    """The query parameters that have a meaning; times in seconds.

    `validation` is Strict, Warn or Ignore; `since` and `match` are resourceVersion and
    resourceVersionMatch; `uid` and `revision` are preconditions of a deletion.
    """

    dry_run: bool = False
    manager: str = ""
    force: bool = False
    validation: str = "Warn"
    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_: str = ""
    since: str = ""
    match: str = ""
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout: float | None = None
    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""


DEFAULTS = Options()


@dataclass(frozen=True)
class Request:
    """One thing to do to one kind. `body` is an object, a patch, or None.

    `how` is the media type of a patch. `warnings` collects what to tell the client beside
    the answer. `tail` is what follows `proxy/` in a path.
    """

    user: User
    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Any = None
    how: str = ""
    options: Options = DEFAULTS
    tail: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class One(NamedTuple):
    """The answer that is one object, as the bytes of its JSON.

    `kind` says what it is where that is not the kind that was asked.
    """

    value: bytes
    code: int = 200
    kind: Kind | None = None


class Many(NamedTuple):
    """The answer that is a list: each object's bytes, and the revision they are true at."""

    kind: Kind
    items: list[bytes]
    revision: int
    continue_: str = ""
    remaining: int | None = None
