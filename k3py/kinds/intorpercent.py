"""Numbers that may be given as a share of a total: 3, or 25%."""

import re
from collections.abc import Iterator
from typing import Any

from k3py.api.kind import Problem
from k3py.kinds import problems as wrong

_PERCENT = re.compile(r"([0-9]{1,9})%")
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """How many `value` is out of `total`; a share is rounded up or down. Raises ValueError."""
    if isinstance(value, int):
        return value
    found = _PERCENT.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is neither a number nor a percentage")
    share = int(found[1]) * total
    return -(-share // 100) if up else share // 100


def problems(field: str, value: Any) -> Iterator[Problem]:
    """Unless `value` is a number that is not negative, or a percentage."""
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            yield wrong.invalid(field, value, _PERCENT_RULE)
    else:
        yield from wrong.not_negative(field, value)


def is_over_whole(value: Any) -> bool:
    """Whether a percentage is more than all there is."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return bool(found) and int(value[:-1]) > 100


def is_nothing(value: Any) -> bool:
    """Whether it is zero however large the total."""
    return value in (0, "0") or (isinstance(value, str) and value.strip("0") == "%")
