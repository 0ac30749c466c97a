"""What is wrong with where a pod asks to run: selectors, affinity, tolerations, spread."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3py.api import labels
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def problems(spec: Object, field: str) -> Iterator[Problem]:
    yield from wrong.label_map(f"{field}.nodeSelector", spec.get("nodeSelector"))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(toleration, f"{field}.tolerations[{index}]")
    affinity = spec.get("affinity") or {}
    yield from _node_affinity(affinity.get("nodeAffinity") or {}, f"{field}.affinity.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(affinity.get(name) or {}, f"{field}.affinity.{name}")
    yield from _spread(spec.get("topologySpreadConstraints") or (), field)


def _toleration(toleration: Object, path: str) -> Iterator[Problem]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if key and not labels.is_key(key):
        yield wrong.invalid(f"{path}.key", key, wrong.KEY_RULE)
    if not key and operator != "Exists":
        yield wrong.invalid(
            f"{path}.operator",
            toleration.get("operator") or "",
            'operator must be Exists when `key` is empty, which means "match all values and all '
            'keys"',
        )
    if operator == "Exists" and value:
        yield wrong.invalid(
            f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'"
        )
    elif operator == "Equal" and not labels.is_value(value):
        yield wrong.invalid(f"{path}.operator", value, wrong.VALUE_RULE)
    elif operator not in ("Equal", "Exists"):
        yield wrong.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield wrong.invalid(
            f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if effect and effect not in _EFFECTS:
        yield wrong.unsupported(f"{path}.effect", effect, _EFFECTS)


def _node_affinity(affinity: Mapping[str, Any], field: str) -> Iterator[Problem]:
    if (needed := affinity.get(_REQUIRED)) is not None:
        path = f"{field}.{_REQUIRED}.nodeSelectorTerms"
        if not needed.get("nodeSelectorTerms"):
            yield wrong.required(path, "must have at least one node selector term")
        for index, term in enumerate(needed.get("nodeSelectorTerms") or ()):
            yield from _node_term(term, f"{path}[{index}]")
    for index, wish in enumerate(affinity.get(_PREFERRED) or ()):
        path = f"{field}.{_PREFERRED}[{index}]"
        yield from _weight(wish, path)
        yield from _node_term(wish.get("preference") or {}, f"{path}.preference")


def _node_term(term: Object, path: str) -> Iterator[Problem]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        yield from _node_expression(expression, f"{path}.matchExpressions[{index}]")
    for index, expression in enumerate(term.get("matchFields") or ()):
        where = f"{path}.matchFields[{index}]"
        if expression.get("key") != "metadata.name":
            yield wrong.invalid(
                f"{where}.key", expression.get("key", ""), "not a valid field selector key"
            )
        if expression.get("operator") not in ("In", "NotIn"):
            yield wrong.invalid(
                f"{where}.operator",
                expression.get("operator", ""),
                "not a valid selector operator",
            )
        elif len(expression.get("values") or ()) != 1:
            yield wrong.required(
                f"{where}.values",
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            )


def _node_expression(expression: Object, path: str) -> Iterator[Problem]:
    values = expression.get("values") or ()
    match expression.get("operator"):
        case "In" | "NotIn" if not values:
            yield wrong.required(
                f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
        case "Exists" | "DoesNotExist" if values:
            yield wrong.forbidden(
                f"{path}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        case "Gt" | "Lt" if len(values) != 1:
            yield wrong.required(
                f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"
            )
        case "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt":
            pass
        case other:
            yield wrong.invalid(f"{path}.operator", other, "not a valid selector operator")
    if not labels.is_key(expression.get("key") or ""):
        yield wrong.invalid(f"{path}.key", expression.get("key") or "", wrong.KEY_RULE)


def _pod_affinity(affinity: Mapping[str, Any], field: str) -> Iterator[Problem]:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        yield from _pod_term(term, f"{field}.{_REQUIRED}[{index}]")
    for index, wish in enumerate(affinity.get(_PREFERRED) or ()):
        path = f"{field}.{_PREFERRED}[{index}]"
        yield from _weight(wish, path)
        yield from _pod_term(wish.get("podAffinityTerm") or {}, f"{path}.podAffinityTerm")


def _pod_term(term: Object, path: str) -> Iterator[Problem]:
    yield from wrong.selector(f"{path}.labelSelector", term.get("labelSelector"))
    yield from wrong.selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    yield from _topology_key(term, path)


def _topology_key(term: Object, path: str) -> Iterator[Problem]:
    key = term.get("topologyKey")
    if not key:
        yield wrong.required(f"{path}.topologyKey", "can not be empty")
    elif not labels.is_key(key):
        yield wrong.invalid(f"{path}.topologyKey", key, wrong.KEY_RULE)


def _weight(wish: Object, path: str) -> Iterator[Problem]:
    if not 1 <= (wish.get("weight") or 0) <= 100:
        yield wrong.invalid(f"{path}.weight", wish.get("weight", 0), "must be in the range 1-100")


def _spread(constraints: Any, field: str) -> Iterator[Problem]:
    seen = set()
    for index, constraint in enumerate(constraints):
        path = f"{field}.topologySpreadConstraints[{index}]"
        if (constraint.get("maxSkew") or 0) <= 0:
            yield wrong.invalid(
                f"{path}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero"
            )
        yield from _topology_key(constraint, path)
        when = constraint.get("whenUnsatisfiable")
        if when not in _UNSATISFIABLE:
            yield wrong.unsupported(f"{path}.whenUnsatisfiable", when, _UNSATISFIABLE)
        pair = f"{{{constraint.get('topologyKey')}, {when}}}"
        if pair in seen:
            yield wrong.duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", pair)
        seen.add(pair)
        yield from wrong.selector(f"{path}.labelSelector", constraint.get("labelSelector"))
