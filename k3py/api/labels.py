"""Label selectors: equality and sets, as text and as LabelSelector objects.

Grammar and meaning: Kubernetes, "Labels and Selectors".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3py.api.errors import BadRequest

_NAME = re.compile(
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
_TERM = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_EQUAL = re.compile(
    r"^\s*(?P<key>[^\s!=<>,()]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=<>,()]*)\s*$"
)
_COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True)
class Requirement:
    """One condition on one label. `operator`: In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        (bound,) = self.values
        try:
            number = int(value or "")
        except ValueError:
            return False
        return number > int(bound) if self.operator == "Gt" else number < int(bound)


@dataclass(frozen=True)
class Selector:
    """All of its requirements must hold; none matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        return all(r.matches(labels or {}) for r in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


def parse(text: str) -> Selector:
    """The selector in kubectl's syntax: `app=web,tier in (a, b),!old`. Raises BadRequest."""
    return Selector(tuple(_requirement(term) for term in _COMMA.split(text) if term.strip()))


def selector(spec: Mapping[str, Any] | None) -> Selector:
    """The selector in a LabelSelector object. None selects nothing in Kubernetes: ask before."""
    spec = spec or {}
    equal = (
        Requirement(k, "In", frozenset((v,))) for k, v in (spec.get("matchLabels") or {}).items()
    )
    sets = (
        Requirement(e["key"], e["operator"], frozenset(e.get("values") or ()))
        for e in spec.get("matchExpressions") or ()
    )
    return Selector((*equal, *sets))


def from_map(wanted: Mapping[str, str] | None) -> Selector:
    """The selector that a plain map of labels is, as in a Service."""
    return selector({"matchLabels": wanted or {}})


def text(spec: Mapping[str, Any] | None) -> str:
    """A LabelSelector the way kubectl prints it: `app=web,tier in (a,b)`; `<none>` when empty."""
    spec = spec or {}
    terms = [f"{k}={v}" for k, v in sorted((spec.get("matchLabels") or {}).items())]
    for e in spec.get("matchExpressions") or ():
        values = ",".join(sorted(e.get("values") or ()))
        forms = {"In": f"{e['key']} in ({values})", "NotIn": f"{e['key']} notin ({values})"}
        forms |= {"Exists": e["key"], "DoesNotExist": f"!{e['key']}"}
        terms.append(forms.get(e["operator"], e["key"]))
    return ",".join(terms) or "<none>"


def is_key(text: str) -> bool:
    """Whether `text` may be a label's or annotation's key: a qualified name."""
    prefix, _, _ = text.rpartition("/")
    return bool(_NAME.fullmatch(text)) and len(prefix) <= 253


def is_value(text: str) -> bool:
    """Whether `text` may be a label's value."""
    return bool(_VALUE.fullmatch(text))


def _requirement(term: str) -> Requirement:
    if found := _TERM.match(term):
        values = frozenset(v.strip() for v in found["values"].split(","))
        return _checked(found["key"], "In" if found["op"] == "in" else "NotIn", values, term)
    if found := _EQUAL.match(term):
        operator = {"!=": "NotIn", ">": "Gt", "<": "Lt"}.get(found["op"], "In")
        return _checked(found["key"], operator, frozenset((found["value"],)), term)
    key = term.strip()
    if key.startswith("!"):
        return _checked(key[1:].strip(), "DoesNotExist", frozenset(), term)
    return _checked(key, "Exists", frozenset(), term)


def _checked(key: str, operator: str, values: frozenset[str], term: str) -> Requirement:
    if not is_key(key) or not all(map(is_value, values)):
        raise BadRequest(f"unable to parse requirement: {term.strip()!r} is not a label selector")
    if operator in ("Gt", "Lt") and not re.fullmatch(r"-?\d+", next(iter(values))):
        raise BadRequest(f"unable to parse requirement: {term.strip()!r} compares with no number")
    return Requirement(key, operator, values)
