"""Filling in what users leave out, in place."""

from typing import Any

from k3py.api.objects import Object


def fill(obj: Object, **values: Any) -> None:
    """Set the fields that are absent or null."""
    for key, value in values.items():
        if obj.get(key) is None:
            obj[key] = value


def fill_empty(obj: Object, **values: Any) -> None:
    """Set the fields that are absent, null, empty or zero: Kubernetes cannot tell those apart."""
    for key, value in values.items():
        if not obj.get(key):
            obj[key] = value


def section(obj: Object, key: str) -> Object:
    """The map at `key`, made when there is none."""
    found = obj.get(key)
    if not isinstance(found, dict):
        found = obj[key] = {}
    return found
