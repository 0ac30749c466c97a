"""Sets of fields: which parts of an object somebody owns, and FieldsV1, their form in JSON.

    {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}}}

A path is the keys from the outside in: f: a field, k: an item by its keys, v: an item by its
value. A field set is a set of paths. Scalars and atomic parts are owned whole; items of
keyed lists and keys of free maps are owned beside what is in them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from k3py.api import errors
from k3py.api.objects import Object
from k3py.api.patch import bounds
from k3py.api.schema import Schema

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: FieldSet = frozenset()


@dataclass
class Changes:
    """How one object differs from another, by path."""

    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)


def of(obj: Any, schema: Schema | None, path: Path = ()) -> FieldSet:
    """Every field of `obj`. Raises BadRequest when an item comes twice or lacks its keys."""
    found: set[Path] = set()
    _collect(obj, schema, path, found)
    return frozenset(found)


def compare(old: Any, new: Any, schema: Schema | None) -> Changes:
    """What was added, removed and modified between two objects."""
    changes = Changes()
    _compare(old, new, schema, (), changes)
    return changes


def decode(fields: Any) -> FieldSet:
    """The set that FieldsV1 stand for. Raises ValueError for what is none."""
    found: set[Path] = set()
    if bounds.depth(fields, bounds.DEEPEST) >= bounds.DEEPEST:
        raise ValueError("fields nest too deep")
    _decode(fields, (), found)
    return frozenset(found)


def encode(fields: Iterable[Path]) -> Object:
    """A set as FieldsV1, sorted."""
    root: Object = {}
    members = set(fields)
    for path in sorted(members):  # what holds others comes before them
        node = root
        for depth, key in enumerate(path, 1):
            node = node.setdefault(key, {})
            if not node and depth < len(path) and path[:depth] in members:
                node["."] = {}
    return root


def text(path: Path) -> str:
    """A path as messages show it: .spec.containers[name="web"].image"""
    return "".join(map(_shown, path))


def is_atomic(value: Any, schema: Schema | None) -> bool:
    """Whether `value` is owned as a whole."""
    if isinstance(value, dict):
        return schema is not None and schema.map_type == "atomic"
    return not isinstance(value, list) or item_keys(schema) is None


def item_keys(schema: Schema | None) -> Sequence[str] | None:
    """The fields that tell the items of a list apart: none in a set; None if it is atomic."""
    if schema is None or schema.list_type == "atomic":
        return None
    if schema.list_type == "map":
        return schema.list_map_keys
    if schema.list_type == "set":
        return ()
    if "merge" in schema.patch_strategy.split(","):  # types from before list types were published
        return (schema.merge_key,) if schema.merge_key else ()
    return None


def grouped(items: Sequence[Any], schema: Schema) -> dict[str, list[Any]]:
    """The items of a keyed list or set by the path element that names them."""
    keys = item_keys(schema) or ()
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(_element(item, keys, schema.items), []).append(item)
    return found


def _element(item: Any, keys: Sequence[str], schema: Schema | None) -> str:
    if not keys:
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    if not isinstance(item, dict):
        raise errors.BadRequest("an item of a keyed list is not an object")
    named = {}
    for key in keys:
        value = item.get(key)
        if value is None:
            below = schema.property(key) if schema else None
            value = below.default if below else None
        if value is not None:
            named[key] = value
    return "k:" + orjson.dumps(named, option=orjson.OPT_SORT_KEYS).decode()


def _collect(value: Any, schema: Schema | None, path: Path, found: set[Path]) -> None:
    if is_atomic(value, schema):
        found.add(path)
    elif isinstance(value, dict):
        for name, child in value.items():
            below = (*path, f"f:{name}")
            _collect(child, schema.property(name) if schema else None, below, found)
            if child in ({}, None) or _is_free_key(schema, name):
                found.add(below)
    else:
        assert schema is not None
        for element, items in grouped(value, schema).items():
            below = (*path, element)
            if len(items) > 1:
                raise errors.BadRequest(
                    f"{text(path)}: duplicate entries for key {_shown(element)}"
                )
            if element.startswith("k:"):
                _collect(items[0], schema.items, below, found)
            found.add(below)


def _is_free_key(schema: Schema | None, name: str) -> bool:
    return schema is None or name not in schema.properties


def _compare(old: Any, new: Any, schema: Schema | None, path: Path, changes: Changes) -> None:
    """None is absence on either side."""
    if old == new and type(old) is type(new):
        return
    some = new if old is None else old
    if _differs_as_whole(old, new, schema):
        found = changes.added if old is None else changes.removed
        (found if old is None or new is None else changes.modified).add(path)
        return
    if isinstance(some, dict):
        _compare_maps(old or {}, new or {}, schema, path, changes)
    else:
        assert schema is not None
        _compare_lists(old or [], new or [], schema, path, changes)
    if old is None:
        changes.added.add(path)
    elif new is None:
        changes.removed.add(path)


def _differs_as_whole(old: Any, new: Any, schema: Schema | None) -> bool:
    some = new if old is None else old
    if old is not None and new is not None and type(old) is not type(new):
        return True
    return is_atomic(some, schema) or (not old and not new)


def _compare_maps(
    old: Object, new: Object, schema: Schema | None, path: Path, changes: Changes
) -> None:
    for name in {**old, **new}:
        below = schema.property(name) if schema else None
        _compare(old.get(name), new.get(name), below, (*path, f"f:{name}"), changes)


def _compare_lists(
    old: list[Any], new: list[Any], schema: Schema, path: Path, changes: Changes
) -> None:
    was, now = grouped(old, schema), grouped(new, schema)
    for element in {**was, **now}:
        before, after = was.get(element, []), now.get(element, [])
        if len(before) <= 1 and len(after) <= 1:
            pair = (before[0] if before else None), (after[0] if after else None)
            _compare(*pair, schema.items, (*path, element), changes)
        elif before != after:  # what comes twice is compared as a whole
            changes.modified.add((*path, element))


def _decode(fields: Any, path: Path, found: set[Path]) -> None:
    if not isinstance(fields, Mapping):
        raise ValueError("fields are not an object")
    for key, below in fields.items():
        if key == ".":
            found.add(path)
        elif key[:2] not in ("f:", "k:", "v:", "i:"):
            raise ValueError(f"{key!r} is no path element")
        elif below:
            _decode(below, (*path, key), found)
        else:
            found.add((*path, key))


def _shown(element: str) -> str:
    kind, value = element[:2], element[2:]
    if kind == "f:":
        return f".{value}"
    if kind == "k:":
        return "[" + ",".join(_pairs(orjson.loads(value))) + "]"
    return f"[={value}]" if kind == "v:" else f"[{value}]"


def _pairs(keys: Object) -> Iterator[str]:
    return (f"{name}={orjson.dumps(value).decode()}" for name, value in sorted(keys.items()))
