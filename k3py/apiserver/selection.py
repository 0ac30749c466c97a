"""Which objects of a kind are meant, decided on their bytes where that is enough.

Stored objects are compact JSON, so an object whose bytes do not contain `"app":"web"`
cannot carry that label; only the others are decoded.
"""

from dataclasses import dataclass
from functools import lru_cache

import orjson

from k3py.api import fields as by_fields
from k3py.api import labels as by_labels
from k3py.api.kind import Kind
from k3py.api.objects import Object


@dataclass(frozen=True)
class Selection:
    """A label and a field selector on one kind."""

    kind: Kind
    labels: by_labels.Selector = by_labels.EVERYTHING
    fields: by_fields.Selector = by_fields.EVERYTHING
    needles: tuple[bytes, ...] = ()

    def matches(self, value: bytes) -> bool:
        if not self:
            return True
        if any(needle not in value for needle in self.needles):
            return False
        obj = decoded(value)
        return self.labels.matches(obj["metadata"].get("labels")) and self.fields.matches(
            self.kind, obj
        )

    def __bool__(self) -> bool:
        return bool(self.labels) or bool(self.fields)


def selection(kind: Kind, label_text: str = "", field_text: str = "") -> Selection:
    """Raises BadRequest for what is no selector."""
    if not label_text and not field_text:
        return Selection(kind)
    chosen = by_labels.parse(label_text)
    needles = tuple(
        orjson.dumps(r.key) + b":" + orjson.dumps(next(iter(r.values)))
        for r in chosen.requirements
        if r.operator == "In" and len(r.values) == 1
    )
    return Selection(kind, chosen, by_fields.parse(kind, field_text), needles)


@lru_cache(maxsize=64)
def decoded(value: bytes) -> Object:
    """The object that `value` is, shared between all who look at it: never change it."""
    found: Object = orjson.loads(value)
    return found
