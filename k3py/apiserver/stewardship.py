"""The part of every object that is the server's: identity, age, generation, and who may write what.

Each endpoint writes its own half of an object: the main one everything but the status, the
status endpoint the status, labels and annotations.
"""

import uuid
from datetime import datetime

from k3py.api import errors, times
from k3py.api.kind import Kind
from k3py.api.objects import Object
from k3py.kinds import EVENT, LEASE, NODE, POD

_SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "name",
)
_HEARTBEAT = "lastHeartbeatTime"
_REPEATS = ("count", "lastTimestamp", "series")


def born(kind: Kind, obj: Object, namespace: str, now: datetime) -> None:
    """Give a new object, in place, what only the server gives."""
    metadata = obj["metadata"]
    for field in (*_SERVER_FIELDS[:5], "selfLink", "resourceVersion"):
        metadata.pop(field, None)
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = times.stamp(now)
    if has_generation(kind):
        metadata["generation"] = 1
    if kind.has_status and kind is not NODE:  # a node registers itself with its status
        obj.pop("status", None)


def has_generation(kind: Kind) -> bool:
    """Whether changes of the spec are counted: not in most of the core group."""
    return kind.has_status and (bool(kind.group) or kind is POD)


def main_part(kind: Kind, new: Object, old: Object) -> Object:
    """`new` as the main endpoint may write it: with the status that is there."""
    _restore_metadata(kind, new, old)
    if kind.has_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    if has_generation(kind) and _spec_differs(new, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
    return new


def status_part(kind: Kind, new: Object, old: Object) -> Object:
    """`old` with the status, labels and annotations of `new`."""
    metadata = dict(old["metadata"])
    for field in ("labels", "annotations", "managedFields"):
        found = new["metadata"].get(field)
        if found:
            metadata[field] = found
        else:
            metadata.pop(field, None)
    return old | {"metadata": metadata, "status": new.get("status") or {}}


def whole(kind: Kind, new: Object, old: Object) -> Object:
    """All of `new`, for the server's own changes."""
    _restore_metadata(kind, new, old)
    if has_generation(kind) and _spec_differs(new, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
    return new


def check_meant(kind: Kind, new: Object, old: Object) -> None:
    """Raises Conflict when a write was based on another version, or another object."""
    metadata, live = new["metadata"], old["metadata"]
    uid = metadata.get("uid")
    if uid and uid != live["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {live['uid']}"
        raise errors.conflict(kind, live["name"], why)
    revision = metadata.get("resourceVersion")
    if revision and revision != live["resourceVersion"]:
        raise errors.conflict(kind, live["name"])


def is_same(new: Object, old: Object) -> bool:
    """Whether writing `new` over `old` would change nothing that matters."""
    if new.keys() != old.keys():
        return False
    if any(new[k] != old[k] for k in new if k != "metadata"):
        return False
    ignored = ("managedFields", "resourceVersion")
    a = {k: v for k, v in new["metadata"].items() if k not in ignored and v not in ({}, [], None)}
    b = {k: v for k, v in old["metadata"].items() if k not in ignored and v not in ({}, [], None)}
    return a == b


def is_fleeting(kind: Kind, new: Object, old: Object) -> bool:
    """Whether a change may be lost in a power cut: a renewed lease, a repeated event, a heartbeat.

    Whoever made it makes it again soon; a lease's new holder is not such a change.
    """
    if kind is LEASE:
        return _same_but(
            new.get("spec") or {}, old.get("spec") or {}, ("renewTime",)
        ) and _same_rest(new, old, "spec")
    if kind is EVENT:
        return _same_but(new, old, (*_REPEATS, "metadata"))
    if kind is NODE:
        return _same_rest(new, old, "status") and _pulse_only(
            new.get("status") or {}, old.get("status") or {}
        )
    return False


def _restore_metadata(kind: Kind, new: Object, old: Object) -> None:
    metadata, live = new["metadata"], old["metadata"]
    for field in _SERVER_FIELDS:
        if field in live:
            metadata[field] = live[field]
        else:
            metadata.pop(field, None)
    metadata.pop("selfLink", None)
    added = set(metadata.get("finalizers") or ()) - set(live.get("finalizers") or ())
    if added and "deletionTimestamp" in live:
        named = ", ".join(f'"{f}"' for f in sorted(added))
        raise errors.Invalid(
            f'{kind.kind} "{live["name"]}" is invalid: metadata.finalizers: Forbidden: no new '
            "finalizers can be added if the object is being deleted, found new finalizers "
            f"[]string{{{named}}}"
        )


def _spec_differs(new: Object, old: Object) -> bool:
    ignored = ("metadata", "status", "kind", "apiVersion")
    names = (new.keys() | old.keys()) - set(ignored)
    return any(new.get(name) != old.get(name) for name in names)


def _same_but(new: Object, old: Object, ignored: tuple[str, ...]) -> bool:
    names = (new.keys() | old.keys()) - set(ignored)
    return all(new.get(name) == old.get(name) for name in names)


def _same_rest(new: Object, old: Object, part: str) -> bool:
    """Whether two objects differ in `part` (and what the server keeps in metadata) at most."""
    metadata = ("managedFields", "resourceVersion")
    return _same_but(new, old, (part, "metadata")) and _same_but(
        new["metadata"], old["metadata"], metadata
    )


def _pulse_only(new: Object, old: Object) -> bool:
    def still(status: Object) -> Object:
        conditions = [
            {k: v for k, v in c.items() if k != _HEARTBEAT} for c in status.get("conditions") or ()
        ]
        return status | {"conditions": conditions}

    return still(new) == still(old)
