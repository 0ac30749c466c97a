"""Roles and cluster roles: what may be done."""

from collections.abc import Iterator

from k3py.api.kind import Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.defaults import fill


class RoleKind(Kind):
    def default(self, obj: Object) -> None:
        fill(obj, rules=[])

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        for index, rule in enumerate(obj.get("rules") or ()):
            yield from self._rule(rule, f"rules[{index}]")
        selectors = (obj.get("aggregationRule") or {}).get("clusterRoleSelectors")
        if obj.get("aggregationRule") is not None and not selectors:
            yield wrong.required(
                "aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required"
            )
        for index, selector in enumerate(selectors or ()):
            yield from wrong.selector(f"aggregationRule.clusterRoleSelectors[{index}]", selector)

    def _rule(self, rule: Object, path: str) -> Iterator[Problem]:
        if not rule.get("verbs"):
            yield wrong.required(f"{path}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs")
        if urls:
            yield from self._urls(rule, f"{path}.nonResourceURLs")
            return
        if not rule.get("apiGroups"):
            yield wrong.required(
                f"{path}.apiGroups", "resource rules must supply at least one api group"
            )
        if not rule.get("resources"):
            yield wrong.required(
                f"{path}.resources", "resource rules must supply at least one resource"
            )

    def _urls(self, rule: Object, path: str) -> Iterator[Problem]:
        urls = rule["nonResourceURLs"]
        if self.namespaced:
            yield wrong.invalid(path, urls, "namespaced rules cannot apply to non-resource URLs")
        if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
            yield wrong.invalid(
                path, urls, "rules cannot apply to both regular resources and non-resource URLs"
            )


CREATED = Column("Created At", lambda role: role["metadata"].get("creationTimestamp") or "")

ROLE = RoleKind("rbac.authorization.k8s.io/v1", "Role", "roles", columns=(CREATED,))
CLUSTER_ROLE = RoleKind(
    "rbac.authorization.k8s.io/v1",
    "ClusterRole",
    "clusterroles",
    namespaced=False,
    columns=(CREATED,),
)
