"""May they? The first authorizer that says yes settles it; if none does, the answer is no."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from k3py.api import errors, fields
from k3py.api.kind import Kind
from k3py.apiserver.request import MASTERS, Request, User

_SELECTING = ("list", "watch", "deletecollection")


@dataclass(frozen=True)
class Attributes:
    """What authorization looks at. `path` is set for what is no resource, and only then.

    `fields` is the field selector of a list, watch or deletecollection.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer(Protocol):
    def allows(self, user: User, asked: Attributes) -> bool: ...


class Masters:
    """The group that may do everything, whatever the roles say."""

    def allows(self, user: User, asked: Attributes) -> bool:
        return MASTERS in user.groups


class AnyOf:
    """Allows what at least one of several allows."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def allows(self, user: User, asked: Attributes) -> bool:
        return any(authorizer.allows(user, asked) for authorizer in self._authorizers)


def attributes(request: Request) -> Attributes:
    kind = request.kind
    name, namespace = request.name, request.namespace
    if kind.plural == "namespaces" and name:
        namespace = name  # a role in a namespace may allow reading that namespace
    # Elsewhere a selector selects nothing: it must not pass for the name of what is written.
    selector = request.options.fields if request.verb in _SELECTING else ""
    if selector and not name:
        name = fields.parse(kind, selector).exact("metadata.name") or ""
    return Attributes(
        request.verb,
        kind.group,
        kind.plural,
        request.subresource,
        namespace,
        name,
        fields=selector,
    )


def refusal(user: User, asked: Attributes, kind: Kind | None = None) -> errors.Forbidden:
    """How Kubernetes says no."""
    if asked.path:
        return errors.Forbidden(
            f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        )
    of_kind = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    named = f'"{asked.name}" ' if asked.name else ""
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    if kind is not None and not kind.namespaced:
        where = "at the cluster scope"
    details = errors.about(kind, asked.name) if kind else {}
    return errors.Forbidden(
        f'{of_kind} {named}is forbidden: User "{user.name}" cannot {asked.verb} resource '
        f'"{asked.full_resource}" in API group "{asked.group}" {where}',
        details,
    )
