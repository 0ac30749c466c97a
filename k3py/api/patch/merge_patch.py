"""JSON merge patches (RFC 7386): maps merge, null deletes, anything else replaces."""

from typing import Any

from k3py.api import errors
from k3py.api.objects import Object, copy
from k3py.api.patch import bounds


def apply(obj: Object, patch: Any) -> Object:
    """A new object: `obj` with `patch` merged into it. Raises BadRequest for what is no map."""
    if not isinstance(patch, dict):
        raise errors.BadRequest("error decoding patch: a merge patch is an object")
    bounds.check_depth(patch)
    merged: Object = _merged(obj, patch)
    return merged


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy(patch)
    done = copy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            done.pop(key, None)
        else:
            done[key] = _merged(done.get(key), value)
    return done
