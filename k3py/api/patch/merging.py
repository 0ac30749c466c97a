"""Laying a configuration over an object, and taking fields out of one."""

from collections.abc import Iterator
from typing import Any

from k3py.api.objects import copy
from k3py.api.patch import fieldset
from k3py.api.patch.fieldset import Path
from k3py.api.schema import Schema

_GONE = object()


def merged(live: Any, config: Any, schema: Schema | None) -> Any:
    """A new value: `live` with everything that `config` says."""
    if isinstance(live, dict) and isinstance(config, dict):
        if fieldset.is_atomic(config, schema):
            return copy(config)
        done = copy(live)
        for name, value in config.items():
            below = schema.property(name) if schema else None
            done[name] = merged(done.get(name), value, below)
        return done
    if isinstance(live, list) and isinstance(config, list):
        if schema is None or fieldset.is_atomic(config, schema):
            return copy(config)
        return _merged_lists(live, config, schema)
    return copy(config)


def without(obj: Any, gone: set[Path], schema: Schema | None) -> Any:
    """A new value: `obj` without the fields in `gone`; what is emptied by that goes too."""
    done = _without(obj, _tree(gone), schema)
    return {} if done is _GONE else done


def _merged_lists(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    here, there = fieldset.grouped(live, schema), fieldset.grouped(config, schema)
    done: list[Any] = []
    for element in _in_order(list(here), list(there)):
        if element not in there:
            done += copy(here[element])
        elif element in here and len(here[element]) == 1:
            done.append(merged(here[element][0], there[element][0], schema.items))
        else:
            done += copy(there[element])
    return done


def _in_order(live: list[str], config: list[str]) -> Iterator[str]:
    """The items of both: the configuration's in its order, the others where they stood."""
    here, wanted = set(live), set(config)
    shared = iter([element for element in config if element in here])
    target = next(shared, None)
    at = 0
    for element in config:
        while at < len(live) and live[at] != target:
            if live[at] not in wanted:
                yield live[at]
            at += 1
        yield element
        if element == target:
            at += 1
            target = next(shared, None)
    yield from (element for element in live[at:] if element not in wanted)


def _tree(paths: set[Path]) -> dict[str, Any]:
    """The paths as nested maps; `_GONE` where one ends."""
    root: dict[str, Any] = {}
    for path in sorted(paths, key=len):
        node = root
        for key in path[:-1]:
            node = node.setdefault(key, {})
            if node is _GONE:
                break
        else:
            node[path[-1]] = _GONE
    return root


def _without(value: Any, gone: Any, schema: Schema | None) -> Any:
    if gone is _GONE:
        return _GONE
    if not gone or fieldset.is_atomic(value, schema):
        return copy(value)
    if isinstance(value, dict):
        done: Any = {}
        for name, child in value.items():
            below = schema.property(name) if schema else None
            left = _without(child, gone.get(f"f:{name}", {}), below)
            if left is not _GONE:
                done[name] = left
    else:
        assert schema is not None
        done = []
        for element, items in fieldset.grouped(value, schema).items():
            lefts = [_without(item, gone.get(element, {}), schema.items) for item in items]
            done += [left for left in lefts if left is not _GONE]
    return done if done or not value else _GONE
