"""Server-side apply: every field has owners, and nobody changes another's unasked.

    applied configuration ──► merged over the live object
                              minus what its manager applied before, and nobody owns now
                              refused where it changes a field that somebody else owns

Rules: Kubernetes, "Server-Side Apply".
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from k3py.api import decoding, errors, wellknown
from k3py.api.objects import Object, Objects, copy
from k3py.api.patch import bounds, fieldset, managers, merging
from k3py.api.patch.fieldset import FieldSet, Path
from k3py.api.patch.managers import Managers, Owner
from k3py.api.schema import Schema

_KUBECTL = "kubectl"
_MOST_ANNOTATION_BYTES = 256 << 10

# What nobody owns: what names the object, and what is the server's.
_UNOWNED: FieldSet = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    }
)
# What every object of its kind has, if empty: nobody adds it.
_ALWAYS_THERE: FieldSet = frozenset(
    (
        ("f:spec",),
        ("f:status",),
        ("f:spec", "f:containers"),
        ("f:spec", "f:strategy"),
        ("f:spec", "f:template"),
        ("f:spec", "f:template", "f:metadata"),
        ("f:spec", "f:template", "f:spec"),
        ("f:spec", "f:template", "f:spec", "f:containers"),
        ("f:status", "f:loadBalancer"),
        ("f:status", "f:nodeInfo"),
    )
)


def apply(
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    schema: Schema | None,
    now: datetime,
    subresource: str = "",
) -> Object:
    """What the live object becomes when `manager` applies a configuration.

    With `force` the manager takes what others own. Raises Conflict, with a cause for every
    field that somebody else owns, and BadRequest for what cannot be applied.
    """
    config = _configuration(applied, schema)
    known = _managers(live)
    if live is not None and not known:
        known = _owned_before(live, schema)
    base = _unmanaged(live) if live is not None else _identity(config)
    who = managers.owner(manager, managers.APPLY, "", subresource)

    version = config["apiVersion"]
    own = _ownable(fieldset.of(config, schema), subresource)
    before = known[who].fields if who in known else fieldset.EMPTY
    everyone = own.union(*(what.fields for other, what in known.items() if other != who))
    new: Object = merging.merged(base, _writable(config, subresource), schema)
    new = merging.without(new, set(before - everyone), schema)

    changes = fieldset.compare(base, new, schema)
    taken = frozenset(changes.added | changes.modified)
    if not force and not _may_take(known, who, taken, base, schema):
        raise _conflict(_contested(known, who, taken))
    known = managers.without(known, taken | changes.removed, but=[who])
    managers.touched(known, who, own, now, version)
    _sync_last_applied(new, config, manager)
    return _managed(new, managers.encode(known))


def track(
    old: Object | None,
    new: Object,
    *,
    manager: str,
    now: datetime,
    api_version: str,
    schema: Schema | None,
    subresource: str = "",
    operation: str = managers.UPDATE,
) -> Objects:
    """The managedFields of `new` after an ordinary write: who changes a field owns it.

    Empty for an object whose ownership somebody reset, until it is applied again.
    """
    given = new["metadata"].get("managedFields")
    if managers.is_reset(given) and not subresource:
        return []
    known = _managers(old)
    if not subresource:
        known = _given(given) or known
    if old is not None and not known:
        return []
    was = _unmanaged(old) if old is not None else {}
    changes = fieldset.compare(was, _unmanaged(new), schema)
    changes.added -= _ALWAYS_THERE
    taken = frozenset(changes.added | changes.modified)
    who = managers.owner(manager, operation, api_version, subresource)
    known = managers.without(known, taken | changes.removed, but=[who])
    had = known[who].fields if who in known else fieldset.EMPTY
    own = _ownable((had - changes.removed) | taken, subresource)
    managers.touched(known, who, own, now, api_version)
    return managers.encode(known)


def _ownable(fields: FieldSet, subresource: str) -> FieldSet:
    """What of it can be owned through an endpoint: the status through its own alone."""
    closed = "f:spec" if subresource == "status" else "f:status"
    return frozenset(p for p in fields - _UNOWNED if p[:1] != (closed,))


def _writable(config: Object, subresource: str) -> Object:
    closed = "spec" if subresource == "status" else "status"
    return {name: value for name, value in config.items() if name != closed}


def _may_take(
    known: Managers, who: Owner, taken: FieldSet, live: Object, schema: Schema | None
) -> bool:
    """Whether no field is another's, or all that are were kubectl's by client-side apply.

    kubectl that changes from client-side to server-side apply keeps what it applied, as the
    annotation tells, as long as nobody has changed it since.
    """
    contested = frozenset(path for _, path in _contested(known, who, taken))
    if not contested:
        return True
    if who.manager != _KUBECTL:
        return False
    try:
        last = orjson.loads(live["metadata"]["annotations"][wellknown.LAST_APPLIED])
        bounds.check_depth(last)
        changed = fieldset.compare(last, live, schema)
        kept = fieldset.of(last, schema) - changed.added - changed.removed - changed.modified
    except (KeyError, TypeError, ValueError, AttributeError, errors.BadRequest):
        return False
    return contested <= kept


def _contested(known: Managers, who: Owner, taken: FieldSet) -> list[tuple[Owner, Path]]:
    return [
        (other, path)
        for other, what in known.items()
        if other != who
        for path in sorted(what.fields & taken)
    ]


def _conflict(contested: list[tuple[Owner, Path]]) -> errors.Conflict:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {other}",
            "field": fieldset.text(path),
        }
        for other, path in contested
    ]
    if len(contested) == 1:
        other, path = contested[0]
        message = f"Apply failed with 1 conflict: conflict with {other}: {fieldset.text(path)}"
        return errors.Conflict(message, {"causes": causes})
    by_owner: dict[str, list[str]] = {}
    for other, path in contested:
        by_owner.setdefault(str(other), []).append(fieldset.text(path))
    lines: list[str] = []
    for name in sorted(by_owner):
        lines += [f"conflicts with {name}:", *(f"- {path}" for path in by_owner[name])]
    joined = "\n".join(lines)
    return errors.Conflict(
        f"Apply failed with {len(contested)} conflicts: {joined}", {"causes": causes}
    )


def _managers(obj: Object | None) -> Managers:
    """The owners an object records; none when the record cannot be read."""
    return _given(obj["metadata"].get("managedFields")) if obj else {}


def _given(entries: Any) -> Managers:
    try:
        return managers.decode(entries)
    except (ValueError, TypeError, AttributeError):
        return {}


def _owned_before(live: Object, schema: Schema | None) -> Managers:
    """Everything that is there, as owned by whoever came before the first apply."""
    who = managers.owner(managers.BEFORE_FIRST_APPLY, managers.UPDATE, live["apiVersion"])
    found = fieldset.compare({}, _unmanaged(live), schema).added - _ALWAYS_THERE - _UNOWNED
    since = live["metadata"].get("creationTimestamp") or ""
    return {who: managers.Owned(frozenset(found), since, live["apiVersion"])}


def _unmanaged(obj: Object) -> Object:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return obj | {"metadata": metadata}


def _identity(config: Object) -> Object:
    return {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {}}


def _managed(obj: Object, entries: Objects) -> Object:
    return obj | {"metadata": obj["metadata"] | {"managedFields": entries}}


def _sync_last_applied(new: Object, config: Object, manager: str) -> None:
    """Keep the annotation of client-side apply true, in place, where kubectl left one."""
    annotations = new["metadata"].get("annotations") or {}
    if manager != _KUBECTL or wellknown.LAST_APPLIED not in annotations:
        return
    said = copy(config)
    said["metadata"].get("annotations", {}).pop(wellknown.LAST_APPLIED, None)
    last = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    others = _sizes(annotations.items())
    if others + len(last) <= _MOST_ANNOTATION_BYTES:
        annotations[wellknown.LAST_APPLIED] = last
    else:
        del annotations[wellknown.LAST_APPLIED]


def _sizes(annotations: Iterable[tuple[str, str]]) -> int:
    return sum(len(k) + len(v) for k, v in annotations if k != wellknown.LAST_APPLIED)


def _configuration(applied: Object, schema: Schema | None) -> Object:
    """A copy of what is applied, as Kubernetes would have decoded it; what is null is not."""
    bounds.check_depth(applied)
    config: Object = _without_nulls(applied)
    if schema is not None:
        if why := decoding.problem(schema, config):
            raise errors.BadRequest(f"failed to create typed patch object: {why}")
        decoding.prune(schema, config)
    if not isinstance(config.get("metadata"), dict):
        raise errors.BadRequest("metadata: Required value")
    if config["metadata"].get("managedFields"):
        raise errors.BadRequest("metadata.managedFields must be nil")
    return config


def _without_nulls(value: Any) -> Any:
    """A copy without nulls: what is null is not applied."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value
