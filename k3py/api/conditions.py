"""Status conditions: what holds, why, and since when."""

from collections.abc import Sequence
from datetime import datetime

from k3py.api import times
from k3py.api.objects import Object, Objects


def find(obj: Object, kind: str) -> Object | None:
    """The condition of type `kind` in an object's status."""
    for condition in obj.get("status", {}).get("conditions") or ():
        if condition["type"] == kind:
            found: Object = condition
            return found
    return None


def is_true(obj: Object, kind: str) -> bool:
    condition = find(obj, kind)
    return condition is not None and condition["status"] == "True"


def updated(conditions: Sequence[Object], new: Object, now: datetime) -> Objects:
    """`conditions` with `new` in the place of its type.

    lastTransitionTime is `now` when the status changed, and what it was otherwise.
    """
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    since = old.get("lastTransitionTime") if old and old["status"] == new["status"] else None
    done = {**new, "lastTransitionTime": since or times.stamp(now)}
    if old is None:
        return [*conditions, done]
    return [done if c is old else c for c in conditions]
