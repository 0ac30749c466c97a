"""Role bindings: who may do it."""

from collections.abc import Iterator

from k3py.api import names
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object, Objects
from k3py.kinds import problems as wrong
from k3py.kinds.defaults import fill_empty, section

_GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("Group", "ServiceAccount", "User")


def subjects(binding: Object) -> Objects:
    found: Objects = binding.get("subjects") or []
    return found


class BindingKind(Kind):
    def default(self, obj: Object) -> None:
        fill_empty(section(obj, "roleRef"), apiGroup=_GROUP)
        for subject in subjects(obj):
            if subject.get("kind") in ("User", "Group"):
                fill_empty(subject, apiGroup=_GROUP)

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        yield from self._role(obj["roleRef"])
        for index, subject in enumerate(subjects(obj)):
            yield from _subject(subject, f"subjects[{index}]")
        if old is not None and obj["roleRef"] != old["roleRef"]:
            yield wrong.invalid("roleRef", obj["roleRef"], "cannot change roleRef")

    def _role(self, ref: Object) -> Iterator[Problem]:
        if ref["apiGroup"] != _GROUP:
            yield wrong.unsupported("roleRef.apiGroup", ref["apiGroup"], (_GROUP,))
        allowed = ("ClusterRole", "Role") if self.namespaced else ("ClusterRole",)
        if ref.get("kind") not in allowed:
            yield wrong.unsupported("roleRef.kind", ref.get("kind") or "", allowed)
        yield from wrong.named("roleRef.name", ref.get("name"), names.path_problem)


def _subject(subject: Object, path: str) -> Iterator[Problem]:
    kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
    if not subject.get("name"):
        yield wrong.required(f"{path}.name")
    if kind not in _SUBJECTS:
        yield wrong.unsupported(f"{path}.kind", kind, _SUBJECTS)
    elif kind == "ServiceAccount":
        if subject.get("name") and (why := names.subdomain_problem(subject["name"])):
            yield wrong.invalid(f"{path}.name", subject["name"], why)
        if group:
            yield wrong.unsupported(f"{path}.apiGroup", group, ("",))
        if not subject.get("namespace"):
            yield wrong.required(f"{path}.namespace")
    elif group != _GROUP:
        yield wrong.unsupported(f"{path}.apiGroup", group, (_GROUP,))


def _named(binding: Object, kind: str) -> str:
    return ", ".join(
        f"{s.get('namespace', '')}/{s['name']}" if kind == "ServiceAccount" else s["name"]
        for s in subjects(binding)
        if s["kind"] == kind
    )


_COLUMNS = (
    Column("Role", lambda b: f"{b['roleRef']['kind']}/{b['roleRef']['name']}"),
    AGE,
    Column("Users", lambda b: _named(b, "User"), priority=1),
    Column("Groups", lambda b: _named(b, "Group"), priority=1),
    Column("ServiceAccounts", lambda b: _named(b, "ServiceAccount"), priority=1),
)

ROLE_BINDING = BindingKind(
    "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", columns=_COLUMNS
)
CLUSTER_ROLE_BINDING = BindingKind(
    "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
    namespaced=False,
    columns=_COLUMNS,
)
