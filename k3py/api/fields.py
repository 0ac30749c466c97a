"""Field selectors: `metadata.name=web,status.phase!=Running`."""

import re
from dataclasses import dataclass

from k3py.api.errors import BadRequest
from k3py.api.kind import Kind
from k3py.api.labels import MOST_REQUIREMENTS
from k3py.api.objects import Object

_TERM = re.compile(r"^(?P<field>[^=!]+?)(?P<op>==|!=|=)(?P<value>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Requirement:
    field: str
    value: str
    equal: bool = True


@dataclass(frozen=True)
class Selector:
    """All of its requirements must hold; none matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, kind: Kind, obj: Object) -> bool:
        return all((value(kind, obj, r.field) == r.value) is r.equal for r in self.requirements)

    def exact(self, field: str) -> str | None:
        """The only value `field` may have, where the selector says so."""
        return next((r.value for r in self.requirements if r.equal and r.field == field), None)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


def parse(kind: Kind, text: str) -> Selector:
    """Raises BadRequest for what is no selector, or names a field that cannot be selected."""
    found = []
    terms = [term for term in text.split(",") if term]
    if len(terms) > MOST_REQUIREMENTS:
        raise BadRequest(f"a selector has at most {MOST_REQUIREMENTS} requirements")
    for term in terms:
        parts = _TERM.match(term)
        if not parts:
            raise BadRequest(f"invalid selector: '{term}'; can't understand '{term}'")
        field = parts["field"].strip()
        if field not in ("metadata.name", "metadata.namespace") and field not in kind.selectable:
            raise BadRequest(f"field label not supported: {field}")
        found.append(Requirement(field, parts["value"].strip(), parts["op"] != "!="))
    return Selector(tuple(found))


def value(kind: Kind, obj: Object, field: str) -> str:
    """What the selectable `field` of `obj` is; empty when it is absent."""
    if field.startswith("metadata."):
        return str(obj["metadata"].get(field.removeprefix("metadata.")) or "")
    return kind.selectable[field](obj)
