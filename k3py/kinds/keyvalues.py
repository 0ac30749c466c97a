"""What ConfigMaps and Secrets have in common: keys that are file names, and values."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong

MOST_BYTES = 1 << 20
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
    "'[-._a-zA-Z0-9]+')"
)


def key_problem(key: str) -> str | None:
    """Why `key` cannot be a key of a ConfigMap or Secret; None when it can."""
    if len(key) > 253:
        return "must be no more than 253 characters"
    if key in (".", "..") or key.startswith(".."):
        return f"must not be '{key}'" if key in (".", "..") else "must not start with '..'"
    return None if _KEY.fullmatch(key) else _KEY_RULE


def key_problems(field: str, found: Mapping[str, Any]) -> Iterator[Problem]:
    for key in found:
        if why := key_problem(key):
            yield wrong.invalid(f"{field}[{key}]", key, why)


def base64_problems(field: str, found: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in found.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            yield Problem(f"{field}[{key}]", "Invalid value: illegal base64 data")


def decoded_size(found: Mapping[str, Any]) -> int:
    """How many bytes base64 values stand for, without decoding them."""
    return sum(len(v) * 3 // 4 - v[-2:].count("=") for v in found.values() if isinstance(v, str))


def immutable_problems(
    obj: Object, old: Object | None, fields: tuple[str, ...]
) -> Iterator[Problem]:
    """What `immutable: true` forbids, itself included."""
    if old is None or not old.get("immutable"):
        return
    message = "field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        yield wrong.forbidden("immutable", message)
    for field in fields:
        if (obj.get(field) or {}) != (old.get(field) or {}):
            yield wrong.forbidden(field, message)
