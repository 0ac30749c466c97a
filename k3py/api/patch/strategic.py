"""Strategic merge patches: merge patches that know which lists are keyed.

Directives, all of them Kubernetes':

    $patch: replace | delete | merge       in a map, or in an item of a keyed list
    $retainKeys: [names]                   all other fields of the map go
    $deleteFromPrimitiveList/FIELD: [...]  these values leave the list FIELD
    $setElementOrder/FIELD: [...]          the order of FIELD afterwards

Items that the patch does not name keep their place relative to those it does, as far as
both orders allow.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from k3py.api import errors
from k3py.api.objects import Object, copy
from k3py.api.patch import bounds
from k3py.api.schema import Schema

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"

Identity = Callable[[Any], Hashable]


def apply(obj: Object, patch: Any, schema: Schema | None) -> Object:
    """A new object: `obj` with `patch` merged into it.

    Raises BadRequest for a patch that is none, Invalid for a directive that does not exist.
    """
    if not isinstance(patch, dict):
        raise errors.BadRequest("error decoding patch: a strategic merge patch is an object")
    bounds.check_depth(patch)
    done: Object = copy(obj)
    return _map(done, patch, schema)


def _map(target: Object, patch: Object, schema: Schema | None) -> Object:
    """`target`, which is ours to change, with `patch` merged into it."""
    if _PATCH in patch:
        match patch[_PATCH]:
            case "replace":
                replaced: Object = _clean({k: v for k, v in patch.items() if k != _PATCH})
                return replaced
            case "delete":
                return {}
            case "merge":
                pass
            case other:
                raise errors.Invalid(f"unknown patch type: {other} in map")
    _retain(target, patch)
    ordered = _orders(target, patch, schema)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_values(target, key.removeprefix(_DELETE), value)
        elif key not in ordered and not _is_directive(key):
            _field(target, key, value, schema)
    return target


def _field(target: Object, key: str, value: Any, schema: Schema | None) -> None:
    if value is None:
        target.pop(key, None)
        return
    below = schema.property(key) if schema else None
    old = target.get(key)
    if isinstance(old, dict) and isinstance(value, dict) and not _replaces(below):
        target[key] = _map(old, value, below)
    elif isinstance(old, list) and isinstance(value, list):
        target[key] = _list(old, value, below)
    else:
        target[key] = _clean(value)


def _list(target: list[Any], patch: list[Any], schema: Schema | None) -> list[Any]:
    if not _merges(schema):
        return list(_clean(patch))
    assert schema is not None
    if not target and not patch:
        return target
    if _are_maps(target, patch):
        return _keyed_list(target, patch, schema)
    wanted = _distinct([*target, *patch])
    return _in_order(wanted, order=patch, before=target, identity=_itself)


def _keyed_list(target: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    """A list of maps that `schema.merge_key` tells apart."""
    key = schema.merge_key
    if not key:
        raise errors.BadRequest("cannot merge lists without a merge key")
    identity = _by(key)
    target, patch = _special_items(target, patch, identity)
    done = list(target)
    places = {identity(item): place for place, item in reversed(list(enumerate(done)))}
    for item in patch:
        place = places.setdefault(identity(item), len(done))
        if place == len(done):
            done.append(_clean(item))
        else:
            done[place] = _map(done[place], item, schema.items)
    return _in_order(done, order=patch, before=target, identity=identity)


def _special_items(
    target: list[Any], patch: list[Any], identity: Identity
) -> tuple[list[Any], list[Any]]:
    """Do what items with a $patch say; the rest of the patch is still to be merged."""
    plain, gone, replace = [], set(), False
    for item in patch:
        match item.get(_PATCH):
            case None:
                plain.append(item)
            case "delete":
                gone.add(identity(item))
            case "replace":
                replace = True
            case "merge":
                raise errors.BadRequest("merging lists cannot yet be specified in the patch")
            case other:
                raise errors.Invalid(f"unknown patch type: {other} in map")
    if replace:
        return list(_clean(plain)), []
    return ([t for t in target if identity(t) not in gone] if gone else target), plain


def _orders(target: Object, patch: Object, schema: Schema | None) -> set[str]:
    """Merge the fields that have a $setElementOrder; which fields those were."""
    done = set()
    for directive, order in patch.items():
        if not directive.startswith(_ORDER):
            continue
        field = directive.removeprefix(_ORDER)
        done.add(field)
        _check_lists(order, target.get(field), patch.get(field))
        below = schema.property(field) if schema else None
        before = target.get(field) or []
        if field in patch:
            _check_order(patch[field] or [], order, _identity(order, below))
            _field(target, field, patch[field], schema)
        if target.get(field):
            identity = _identity([*target[field], *order], below)
            target[field] = _in_order(target[field], order, before, identity)
    return done


def _check_order(patch: list[Any], order: list[Any], identity: Identity) -> None:
    """The items a patch lists must come in the order it asks for."""
    places = {identity(item): place for place, item in enumerate(order)}
    last = -1
    for item in patch:
        if isinstance(item, dict) and item.get(_PATCH):
            continue
        place = places.get(identity(item), -1)
        if place < last or place < 0:
            raise errors.BadRequest(
                "The order in patch list doesn't match the order in $setElementOrder list"
            )
        last = place


def _in_order(
    items: list[Any], order: list[Any], before: list[Any], identity: Identity
) -> list[Any]:
    """`items`: those in `order` as it says, the others woven in as they stood in `before`."""
    wanted = _places(order, identity)
    stood = _places(before, identity)
    named = [i for i in items if identity(i) in wanted]
    named.sort(key=lambda i: wanted[identity(i)])
    others = [i for i in items if identity(i) not in wanted]
    others.sort(key=lambda i: stood.get(identity(i), len(stood)))
    woven: list[Any] = []
    at = 0
    for item in named:
        place = stood.get(identity(item))
        while place is not None and at < len(others):
            if stood.get(identity(others[at]), place) >= place:
                break
            woven.append(others[at])
            at += 1
        woven.append(item)
    return woven + others[at:]


def _places(items: Iterable[Any], identity: Identity) -> dict[Hashable, int]:
    places: dict[Hashable, int] = {}
    for place, item in enumerate(items):
        places.setdefault(identity(item), place)
    return places


def _retain(target: Object, patch: Object) -> None:
    if _RETAIN not in patch:
        return
    kept = patch[_RETAIN]
    given = {k for k, v in patch.items() if v is not None and not _is_directive(k)}
    if not isinstance(kept, list) or not given <= {k for k in kept if isinstance(k, str)}:
        raise errors.BadRequest("invalid patch format of retainKeys")
    for key in [k for k in target if k not in kept]:
        del target[key]


def _delete_values(target: Object, field: str, values: Any) -> None:
    if not isinstance(values, list) or not _are_scalars(values):
        raise errors.BadRequest("invalid patch format of primitive list")
    if isinstance(target.get(field), list):
        gone = set(values)
        target[field] = [v for v in target[field] if isinstance(v, dict | list) or v not in gone]


def _clean(value: Any) -> Any:
    """A part of a patch where there is nothing to merge with: no directives, no nulls."""
    if isinstance(value, dict):
        return {
            k: _clean(v)
            for k, v in value.items()
            if v is not None and k != _PATCH and not _is_directive(k)
        }
    if isinstance(value, list):
        return [_clean(v) for v in value if not (isinstance(v, dict) and v.get(_PATCH))]
    return value


def _is_directive(key: str) -> bool:
    return key in (_PATCH, _RETAIN) or key.startswith((_DELETE, _ORDER))


def _merges(schema: Schema | None) -> bool:
    return schema is not None and "merge" in schema.patch_strategy.split(",")


def _replaces(schema: Schema | None) -> bool:
    return schema is not None and "replace" in schema.patch_strategy.split(",")


def _identity(items: list[Any], schema: Schema | None) -> Identity:
    keyed = schema.merge_key if schema else ""
    return _by(keyed) if keyed and _are_maps(items) else _itself


def _by(key: str) -> Identity:
    def identity(item: Any) -> Hashable:
        if not isinstance(item, dict) or key not in item:
            raise errors.BadRequest(f"map: {item} does not contain declared merge key: {key}")
        return _itself(item[key])

    return identity


def _itself(value: Any) -> Hashable:
    if isinstance(value, dict | list):
        raise errors.BadRequest("lists of lists and of mixed types cannot be merged")
    return type(value), value


def _are_maps(*lists: list[Any]) -> bool:
    """Whether the items are maps; raises BadRequest when only some are."""
    maps = {isinstance(item, dict) for items in lists for item in items}
    if len(maps) > 1:
        raise errors.BadRequest("list element types are not identical")
    return maps == {True}


def _are_scalars(values: list[Any]) -> bool:
    return not any(isinstance(v, dict | list) for v in values)


def _check_lists(order: Any, *others: Any) -> None:
    if not isinstance(order, list) or not all(o is None or isinstance(o, list) for o in others):
        raise errors.BadRequest("invalid patch format of setElementOrder list")


def _distinct(values: list[Any]) -> list[Any]:
    return list({_itself(v): v for v in values}.values())
