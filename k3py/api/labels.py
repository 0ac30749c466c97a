"""Label selectors: equality and sets, as text and as LabelSelector objects.

Grammar and meaning: Kubernetes, "Labels and Selectors".
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3py.api.errors import BadRequest

# Every object of a list is held against each: more is no question but an attack.
MOST_REQUIREMENTS = 500
_NAME = re.compile(
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
_TOKEN = re.compile(r"\s*(==|!=|[!(),=<>]|[^\s!(),=<>]+)")
_OPERATORS = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
_SETS = {"in": "In", "notin": "NotIn"}


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
    tokens = _Tokens(text)
    found = [_requirement(tokens)] if tokens.next else []
    while tokens.next:
        tokens.expect(",")
        found.append(_requirement(tokens))
        if len(found) > MOST_REQUIREMENTS:
            raise BadRequest(f"a selector has at most {MOST_REQUIREMENTS} requirements")
    return Selector(tuple(found))


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


class _Tokens:
    """The words and signs of a selector, from left to right."""

    def __init__(self, text: str) -> None:
        self._left = deque(_TOKEN.findall(text))

    @property
    def next(self) -> str:
        """What comes, empty at the end."""
        return self._left[0] if self._left else ""

    def accept(self, sign: str) -> bool:
        """Take `sign`, if that is what comes."""
        if self.next != sign:
            return False
        self._left.popleft()
        return True

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            raise self.refusal(f"'{sign}'")

    def word(self) -> str:
        if not self.next or self.next[0] in "!(),=<>":
            raise self.refusal("identifier")
        found: str = self._left.popleft()
        return found

    def refusal(self, expected: str) -> BadRequest:
        shown = self.next[:64]
        return BadRequest(f"unable to parse requirement: found '{shown}', expected: {expected}")


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.accept("!"):
        return _checked(tokens.word(), "DoesNotExist")
    key, sign = tokens.word(), tokens.next
    if sign in ("", ","):
        return _checked(key, "Exists")
    if sign not in _OPERATORS and sign not in _SETS:
        raise tokens.refusal("in, notin, =, ==, !=, gt, lt")
    tokens.accept(sign)
    if sign in _SETS:
        return _checked(key, _SETS[sign], _values(tokens))
    value = "" if tokens.next in ("", ",") else tokens.word()
    return _checked(key, _OPERATORS[sign], frozenset((value,)))


def _values(tokens: _Tokens) -> frozenset[str]:
    """The values in parentheses; nothing between two commas is a value, too."""
    tokens.expect("(")
    found = set()
    while True:
        found.add("" if tokens.next in (",", ")") else tokens.word())
        if tokens.accept(")"):
            return frozenset(found)
        tokens.expect(",")


def _checked(key: str, operator: str, values: frozenset[str] = frozenset()) -> Requirement:
    wrong = [v for v in values if not is_value(v)] if is_key(key) else [key]
    if wrong:
        raise BadRequest(f"unable to parse requirement: Invalid value: {wrong[0][:64]!r}")
    if operator in ("Gt", "Lt") and not re.fullmatch(r"-?\d+", next(iter(values))):
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise BadRequest(f"unable to parse requirement: values: Invalid value: {why}")
    return Requirement(key, operator, values)
