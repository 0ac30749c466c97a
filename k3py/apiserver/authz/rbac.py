"""Roles and bindings, kept at hand as an index from subject to rules.

The index follows the stored roles and bindings: before every question it takes in what was
written since, so whoever was just granted something has it.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from k3py import kinds
from k3py.api.objects import Key, Object
from k3py.apiserver import keys
from k3py.apiserver.authz import Attributes
from k3py.apiserver.request import User
from k3py.store.errors import Compacted
from k3py.store.record import Record
from k3py.store.store import Store
from k3py.store.watch import Watch

_PREFIX = "/rbac.authorization.k8s.io/"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class Rule:
    """One PolicyRule, ready to be asked."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        if asked.verb not in self.verbs and "*" not in self.verbs:
            return False
        if asked.path:
            return any(_path_matches(pattern, asked.path) for pattern in self.paths)
        return (
            (asked.group in self.groups or "*" in self.groups)
            and self._has_resource(asked)
            and (not self.names or asked.name in self.names)
        )

    def _has_resource(self, asked: Attributes) -> bool:
        found = self.resources
        return (
            asked.full_resource in found
            or "*" in found
            or bool(asked.subresource and f"*/{asked.subresource}" in found)
        )


class _Grant(NamedTuple):
    """One binding: to which role, in which namespace ("" is everywhere)."""

    namespace: str
    role: tuple[str, Key]


class Rbac:
    """Whether the roles bound to a user allow what is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # The lock covers everything below.
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._roles: dict[tuple[str, Key], tuple[Rule, ...]] = {}
        self._bindings: dict[str, Object] = {}
        self._grants: dict[tuple[str, str], list[_Grant]] = {}
        self._stale = True

    def allows(self, user: User, asked: Attributes) -> bool:
        return any(rule.allows(asked) for rule in self.rules(user, asked.namespace))

    def rules(self, user: User, namespace: str) -> Iterator[Rule]:
        """Every rule that holds for a user in a namespace; "" is the whole cluster."""
        with self._lock:
            self._follow()
            found = [
                self._roles.get(grant.role, ())
                for subject in _subjects(user)
                for grant in self._grants.get(subject, ())
                if not grant.namespace or grant.namespace == namespace
            ]
        for rules in found:
            yield from rules

    def role_rules(self, ref: Object, namespace: str) -> tuple[Rule, ...] | None:
        """The rules of the role that a binding in `namespace` refers to; None if there is none."""
        with self._lock:
            self._follow()
            return self._roles.get(_role(ref, namespace))

    def _follow(self) -> None:
        if self._watch is None or self._watch.closed:
            self._reload()
        assert self._watch is not None
        while record := self._watch.next(0):
            self._learn(record)
        if self._stale:
            self._index()

    def _reload(self) -> None:
        while True:
            page = self._store.list(_PREFIX)
            try:
                self._watch = self._store.watch(_PREFIX, page.revision)
                break
            except Compacted:
                continue
        self._roles, self._bindings = {}, {}
        for record in page.records:
            self._learn(record)

    def _learn(self, record: Record) -> None:
        self._stale = True
        plural = record.key.split("/")[2]
        place = keys.parse(record.key)
        obj = orjson.loads(record.value) if record.value is not None else None
        if plural in (kinds.ROLE.plural, kinds.CLUSTER_ROLE.plural):
            which = "Role" if plural == kinds.ROLE.plural else "ClusterRole"
            if obj is None:
                self._roles.pop((which, place), None)
            else:
                self._roles[which, place] = compiled(obj.get("rules") or ())
        elif obj is None:
            self._bindings.pop(record.key, None)
        else:
            obj["metadata"].pop("managedFields", None)  # most of it, and nothing to us
            self._bindings[record.key] = obj

    def _index(self) -> None:
        self._grants = {}
        for binding in self._bindings.values():
            namespace = binding["metadata"].get("namespace", "")
            grant = _Grant(namespace, _role(binding["roleRef"], namespace))
            for subject in binding.get("subjects") or ():
                self._grants.setdefault(_subject(subject, namespace), []).append(grant)
        self._stale = False


def compiled(rules: Iterable[Object]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            frozenset(rule.get("verbs") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("resources") or ()),
            frozenset(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in rules
    )


def _role(ref: Object, namespace: str) -> tuple[str, Key]:
    which = ref["kind"]
    return which, Key(namespace if which == "Role" else "", ref["name"])


def _subject(subject: Object, namespace: str) -> tuple[str, str]:
    if subject["kind"] == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return "User", f"{_SERVICE_ACCOUNT}{home}:{subject['name']}"
    return subject["kind"], subject["name"]


def _subjects(user: User) -> Iterator[tuple[str, str]]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))
