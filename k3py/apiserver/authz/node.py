"""What a node may do: its own node, lease and pods, and what those pods need.

A node's certificate is for system:node:NAME in the group system:nodes. It reads a Secret,
ConfigMap or a token of a ServiceAccount only when a pod bound to it refers to that. What
it may write of its own is narrowed further by the node restriction in admission.
"""

from collections.abc import Iterator
from typing import Any

from k3py import kinds
from k3py.api import fields
from k3py.api.errors import BadRequest
from k3py.api.objects import Key, Object
from k3py.api.wellknown import NODE_LEASES
from k3py.apiserver.authz import Attributes
from k3py.apiserver.reading import Reader
from k3py.apiserver.request import User

NODES = "system:nodes"
_PREFIX = "system:node:"
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch")
# What the overlay, the proxy and DNS on every node follow.
_CLUSTER_WIDE = frozenset(
    (
        ("", "nodes"),
        ("", "services"),
        ("", "endpoints"),
        ("", "namespaces"),
        ("discovery.k8s.io", "endpointslices"),
    )
)
_REVIEWS = frozenset(("tokenreviews", "subjectaccessreviews", "selfsubjectreviews"))


def node_name(user: User) -> str | None:
    """The node that a user is; None for everybody else."""
    if NODES in user.groups and user.name.startswith(_PREFIX):
        return user.name.removeprefix(_PREFIX) or None
    return None


class NodeAuthorizer:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def allows(self, user: User, asked: Attributes) -> bool:
        node = node_name(user)
        if node is None or asked.path:
            return False
        if asked.verb in _READ and (asked.group, asked.resource) in _CLUSTER_WIDE:
            return not asked.subresource
        rule = _RULES.get((asked.group, asked.resource))
        if rule is not None:
            return bool(rule(self, node, asked))
        return asked.verb == "create" and asked.resource in _REVIEWS

    def _node(self, node: str, asked: Attributes) -> bool:
        if asked.verb == "create":
            return not asked.subresource  # whether it is its own, admission knows
        return (
            asked.verb in ("update", "patch", "get")
            and asked.name == node
            and asked.subresource in ("", "status")
        )

    def _pod(self, node: str, asked: Attributes) -> bool:
        if asked.verb in ("list", "watch"):
            return _exact(asked, "spec.nodeName") == node
        if asked.verb == "create" and not asked.subresource:
            return True  # a mirror pod: admission looks closer
        pod = self._reader.get(kinds.POD, Key(asked.namespace, asked.name))
        mine = pod is None or pod["spec"].get("nodeName") == node
        allowed = {
            "": ("get", "delete"),
            "status": ("get", "update", "patch"),
            "eviction": ("create",),
        }
        return mine and asked.verb in allowed.get(asked.subresource, ())

    def _lease(self, node: str, asked: Attributes) -> bool:
        if asked.namespace != NODE_LEASES or asked.subresource:
            return False
        if asked.verb == "create":
            return True  # whether it is its own, admission knows
        return asked.name == node and asked.verb in ("get", "update", "patch", "delete")

    def _event(self, node: str, asked: Attributes) -> bool:
        return asked.verb in _WRITE

    def _needed(self, node: str, asked: Attributes) -> bool:
        """A Secret or ConfigMap, one at a time: by name, or by a selector for the name."""
        if asked.verb not in _READ or asked.subresource:
            return False
        name = asked.name or _exact(asked, "metadata.name")
        if not name or not asked.namespace:
            return False
        which = "secret" if asked.resource == "secrets" else "configMap"
        return any(
            name in set(references(pod, which)) for pod in self._pods(node, asked.namespace, name)
        )

    def _account(self, node: str, asked: Attributes) -> bool:
        right = (asked.verb, asked.subresource) in (("create", "token"), ("get", ""))
        return right and any(
            pod["spec"].get("serviceAccountName") == asked.name
            for pod in self._pods(node, asked.namespace, asked.name)
        )

    def _pods(self, node: str, namespace: str, name: str) -> Iterator[Object]:
        """The pods bound to a node in a namespace that may mention `name`."""
        mentioned = f'"{name}"'.encode()
        for pod in self._reader.holding(kinds.POD, namespace, f'"{node}"'.encode(), mentioned):
            if pod["spec"].get("nodeName") == node:
                yield pod


_RULES: dict[tuple[str, str], Any] = {
    ("", "nodes"): NodeAuthorizer._node,
    ("", "pods"): NodeAuthorizer._pod,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
    ("", "events"): NodeAuthorizer._event,
    ("", "secrets"): NodeAuthorizer._needed,
    ("", "configmaps"): NodeAuthorizer._needed,
    ("", "serviceaccounts"): NodeAuthorizer._account,
}


def _exact(asked: Attributes, field: str) -> str | None:
    kind = kinds.POD if field.startswith("spec.") else kinds.SECRET
    try:
        return fields.parse(kind, asked.fields).exact(field)
    except BadRequest:
        return None


def references(pod: Object, which: str) -> Iterator[str]:
    """The names of what a pod refers to: `which` is secret or configMap."""
    spec = pod["spec"]
    if which == "secret":
        yield from (ref.get("name", "") for ref in spec.get("imagePullSecrets") or ())
    for volume in spec.get("volumes") or ():
        yield from _volume_references(volume, which)
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _environment_references(container, which)


def _volume_references(volume: Object, which: str) -> Iterator[str]:
    if which in volume:
        yield volume[which].get("secretName" if which == "secret" else "name", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if which in source:
            yield source[which].get("name", "")


def _environment_references(container: Object, which: str) -> Iterator[str]:
    for env in container.get("env") or ():
        ref = (env.get("valueFrom") or {}).get(f"{which}KeyRef")
        if ref:
            yield ref.get("name", "")
    for source in container.get("envFrom") or ():
        ref = source.get(f"{which}Ref")
        if ref:
            yield ref.get("name", "")
