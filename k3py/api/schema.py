"""The published schemas of the built-in kinds: what fields there are, and how they merge.

    pod = schema.for_kind("v1", "Pod")
    pod.property("spec").property("containers").merge_key      # name

What a request goes through along a schema stands in `decoding`. A schema is read from the
compiled table when it is first asked for, with all it refers to; nodes that say the same
are the same object, so a kind costs little.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from k3py.api import schemas
from k3py.api.objects import Object

_NOTHING: dict[str, "Schema"] = {}


class Schema:
    """One node: a struct, a map, a list, or a scalar. Read-only.

    `type` is object, array, string, integer, number, boolean, or "" for anything at all.
    `format` narrows it: int32, int64, double, byte, date-time, micro-time, quantity,
    int-or-string. A struct has `properties` (perhaps none), a map has `values`, a list `items`.
    `list_type` is atomic, set, map or ""; `map_type` atomic, granular or "";
    `patch_strategy` merge, replace, retainKeys, "merge,retainKeys" or "".
    `definition` is the published name of the type, "" for a type written in place.
    """

    __slots__ = (
        "default",
        "definition",
        "format",
        "items",
        "list_map_keys",
        "list_type",
        "map_type",
        "merge_key",
        "patch_strategy",
        "properties",
        "required",
        "type",
        "values",
    )

    def __init__(self, raw: Object) -> None:
        self.definition: str = raw.get("definition", "")
        self.type: str = raw["type"]
        self.format: str = raw.get("format", "")
        self.properties: dict[str, Schema] = _NOTHING
        self.items: Schema | None = None
        self.values: Schema | None = None
        self.required: tuple[str, ...] = tuple(raw.get("required", ()))
        self.list_type: str = raw.get("list_type", "")
        self.list_map_keys: tuple[str, ...] = tuple(raw.get("list_map_keys", ()))
        self.map_type: str = raw.get("map_type", "")
        self.patch_strategy: str = raw.get("patch_strategy", "")
        self.merge_key: str = raw.get("merge_key", "")
        self.default: Any = raw.get("default")

    @property
    def is_struct(self) -> bool:
        """Whether only the fields in `properties` exist."""
        return self.type == "object" and self.values is None

    def property(self, name: str) -> "Schema | None":
        """The schema of a field of a struct, or of a value of a map."""
        return self.properties.get(name) or self.values

    def __repr__(self) -> str:
        return f"<Schema {self.definition or self.type}>"


def for_kind(api_version: str, kind: str) -> Schema | None:
    """The schema of a built-in kind, its List, or its options (DeleteOptions, Eviction …)."""
    name = _kinds().get(f"{api_version} {kind}")
    return definition(name) if name else None


def definition(name: str) -> Schema | None:
    """The schema of a published type: io.k8s.api.core.v1.PodSpec."""
    if name not in _definitions:
        raw = _archive().get(name)
        if raw is None:
            return None
        made = Schema({**raw, "definition": name})
        _definitions[name] = made  # before its fields: types refer to themselves
        _fill(made, raw)
    return _definitions[name]


def kinds() -> Iterator[tuple[str, str]]:
    """Every (apiVersion, kind) that has a schema."""
    for name in _kinds():
        version, _, kind = name.partition(" ")
        yield version, kind


_definitions: dict[str, Schema] = {}
_plain: dict[str, Schema] = {}


@cache
def _archive() -> schemas.Archive:
    return schemas.Archive("definitions.bin")


@cache
def _kinds() -> dict[str, str]:
    found: dict[str, str] = _archive().get("kinds")
    return found


def _fill(made: Schema, raw: Object) -> None:
    if "properties" in raw:
        made.properties = {name: _node(child) for name, child in raw["properties"].items()}
    if "items" in raw:
        made.items = _node(raw["items"])
    if "values" in raw:
        made.values = _node(raw["values"])


def _node(raw: Object) -> Schema:
    """The node for one use of a type; the same use twice is the same node."""
    if set(raw) == {"ref"}:
        found = definition(raw["ref"])
        assert found is not None, f"{raw['ref']} is not in the table"
        return found
    name = repr(raw)
    if name not in _plain:
        _plain[name] = _use(raw) if "ref" in raw else Schema(raw)
        _fill(_plain[name], raw)
    return _plain[name]


def _use(raw: Object) -> Schema:
    """A reference that merges otherwise than its type does."""
    found = definition(raw["ref"])
    assert found is not None, f"{raw['ref']} is not in the table"
    made = Schema({"type": found.type, "definition": found.definition})
    for slot in Schema.__slots__:
        setattr(made, slot, raw.get(slot, getattr(found, slot)))
    return made
