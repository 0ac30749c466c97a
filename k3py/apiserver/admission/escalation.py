"""Nobody gives away rights they do not have: what a role or a binding would grant is checked.

Exempt are who may do everything, and who has the verb "escalate" on the role, or "bind" on
the role that a binding refers to.
"""

from collections.abc import Iterator

from k3py import kinds
from k3py.api.objects import Object
from k3py.apiserver.admission import Review, refusal
from k3py.apiserver.authz import Attributes, Authorizer
from k3py.apiserver.authz.rbac import Rbac, Rule, compiled
from k3py.apiserver.request import MASTERS

_ROLES = (kinds.ROLE, kinds.CLUSTER_ROLE)
_BINDINGS = (kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING)
_GROUP = "rbac.authorization.k8s.io"


class Escalation:
    def __init__(self, authorizer: Authorizer, rbac: Rbac) -> None:
        self._authorizer, self._rbac = authorizer, rbac

    def admit(self, review: Review) -> None:
        if review.obj is None or MASTERS in review.user.groups:
            return
        if review.kind in _ROLES:
            self._check_role(review, review.obj)
        elif review.kind in _BINDINGS:
            self._check_binding(review, review.obj)

    def _check_role(self, review: Review, role: Object) -> None:
        if (
            review.old is not None
            and review.old.get("rules") == role.get("rules")
            and (review.old.get("aggregationRule") == role.get("aggregationRule"))
        ):
            return
        asked = Attributes(
            "escalate", _GROUP, review.kind.plural, "", review.key.namespace, review.key.name
        )
        if self._authorizer.allows(review.user, asked):
            return
        if role.get("aggregationRule"):
            self._check_covered(review, (Rule(*(frozenset("*"),) * 3, paths=("*",)),))
        self._check_covered(review, compiled(role.get("rules") or ()))

    def _check_binding(self, review: Review, binding: Object) -> None:
        same = ("subjects", "roleRef")
        if review.old is not None and all(review.old.get(f) == binding.get(f) for f in same):
            return
        ref = binding.get("roleRef") or {}
        plural = "roles" if ref.get("kind") == "Role" else "clusterroles"
        asked = Attributes(
            "bind", _GROUP, plural, "", review.key.namespace, str(ref.get("name", ""))
        )
        if self._authorizer.allows(review.user, asked):
            return
        granted = self._rbac.role_rules(ref, review.key.namespace)
        if granted is None:
            raise refusal(review, f'the role "{ref.get("name")}" was not found')
        self._check_covered(review, granted)

    def _check_covered(self, review: Review, granted: tuple[Rule, ...]) -> None:
        own = tuple(self._rbac.rules(review.user, review.key.namespace))
        for rule in granted:
            for part in _parts(rule):
                if not any(_covers(mine, part) for mine in own):
                    raise refusal(
                        review,
                        f'user "{review.user.name}" (groups={list(review.user.groups)}) is '
                        "attempting to grant RBAC permissions not currently held: "
                        f"{_described(part)}",
                    )


def _parts(rule: Rule) -> Iterator[Rule]:
    """A rule as rules for one verb on one thing."""
    for verb in sorted(rule.verbs):
        for path in rule.paths:
            yield Rule(frozenset((verb,)), paths=(path,))
        for group in sorted(rule.groups):
            for resource in sorted(rule.resources):
                for name in sorted(rule.names) or ("",):
                    names = frozenset((name,)) if name else frozenset()
                    yield Rule(
                        frozenset((verb,)), frozenset((group,)), frozenset((resource,)), names
                    )


def _covers(mine: Rule, part: Rule) -> bool:
    if not ("*" in mine.verbs or part.verbs <= mine.verbs):
        return False
    if part.paths:
        return any(_path_covers(pattern, part.paths[0]) for pattern in mine.paths)
    return (
        ("*" in mine.groups or part.groups <= mine.groups)
        and _resource_covers(mine.resources, next(iter(part.resources)))
        and (not mine.names or bool(part.names and part.names <= mine.names))
    )


def _resource_covers(mine: frozenset[str], resource: str) -> bool:
    if "*" in mine or resource in mine:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in mine


def _path_covers(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _described(part: Rule) -> str:
    facts = {
        "APIGroups": part.groups,
        "Resources": part.resources,
        "ResourceNames": part.names,
        "NonResourceURLs": part.paths,
        "Verbs": part.verbs,
    }
    quoted = (f"{k}:{sorted(v)}".replace("'", '"') for k, v in facts.items() if v)
    return "{" + ", ".join(quoted) + "}"
