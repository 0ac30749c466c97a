"""Kubernetes objects as they are: JSON, in dicts."""

from typing import Any, NamedTuple

Object = dict[str, Any]
Objects = list[Object]


class Key(NamedTuple):
    """Which object, within its kind. Cluster-scoped objects have no namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Listing(NamedTuple):
    """What a LIST answers: the objects, the revision they are true at, and how to go on.

    `continue_` is empty on the last page; `remaining` counts what is left, None if unknown.
    """

    items: Objects
    revision: int
    continue_: str = ""
    remaining: int | None = None


class Event(NamedTuple):
    """One change, as a watch tells it: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: Object


def copy(value: Any) -> Any:
    """A deep copy of JSON: three times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {k: copy(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copy(v) for v in value]
    return value
