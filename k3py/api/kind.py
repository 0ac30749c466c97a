"""What the API server must know about a kind, and nothing else."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from k3py.api.objects import Object

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Column(NamedTuple):
    """A column of `kubectl get`. `priority` above 0 shows it only with -o wide.

    `type` and `format` are those of a Kubernetes TableColumnDefinition. The cell of a
    date column is the RFC 3339 time; the server turns it into an age.
    """

    name: str
    cell: Callable[[Object], object]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


class Since(NamedTuple):
    """A cell that holds an age: `text` with {} in the place of the time since `moment`.

    What is printed depends on when it is printed, so the kind says only since when.
    `moment` None: `unknown` alone is printed.
    """

    moment: str | None
    text: str = "{}"
    unknown: str = "<unknown>"


AGE = Column("Age", lambda obj: obj["metadata"].get("creationTimestamp"), "date")


class Problem(NamedTuple):
    """A reason to refuse an object: which field, what is wrong, and which kind of wrong.

    `reason` is Kubernetes' cause: FieldValueRequired, FieldValueInvalid, FieldValueDuplicate,
    FieldValueForbidden, FieldValueNotSupported, FieldValueNotFound, FieldValueTooLong.
    `message` is Kubernetes' whole text after the field, for example
    'Invalid value: -1: must be greater than or equal to 0'.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"


@dataclass(frozen=True, eq=False)
class Kind:
    """A resource the API serves: its names, and the rules its objects obey.

    A plain kind is an instance. A kind with rules of its own overrides the
    hooks below, which run in this order on every write, after the schema has
    been checked and before admission of the result:

        default → prepare → validate

    `subresources` are those beside status and scale: "log", "binding", "token" …
    `selectable` maps the field selectors beyond metadata.name and metadata.namespace to
    what they read. `virtual` kinds are answered, never stored (reviews).
    """

    api_version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    has_scale: bool = False
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    virtual: bool = False
    selectable: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    columns: tuple[Column, ...] = (AGE,)

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """The name messages use: pods, deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def default(self, obj: Object) -> None:
        """Fill in, in place, every field the user may leave out."""

    def prepare(self, obj: Object, old: Object | None) -> None:
        """Restore, in place, what only the server may change. `old` is None on create.

        The registry itself keeps metadata that is the server's, and, for kinds with a
        status, the other half of spec and status on each endpoint.
        """

    def validate(self, obj: Object, old: Object | None) -> Iterable[Problem]:
        """Name everything that is wrong with `obj`."""
        return ()

    def validate_status(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Name everything that is wrong with a status about to be written."""
        return ()

    def __repr__(self) -> str:
        return f"<Kind {self.api_version} {self.kind}>"
