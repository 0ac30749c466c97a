"""What can be wrong with a field, in Kubernetes' words."""

import ipaddress
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from k3py.api import labels, names
from k3py.api.kind import Problem

NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT_RULE = "must be between 1 and 65535, inclusive"
KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LONGEST_SHOWN = 1000
_LETTER = re.compile(r"[a-z]")
_PORT_NAME = re.compile(r"[-a-z0-9]+")


def required(field: str, message: str = "") -> Problem:
    return Problem(field, "Required value" + (message and f": {message}"), "FieldValueRequired")


def invalid(field: str, value: Any, message: str) -> Problem:
    return Problem(field, f"Invalid value: {shown(value)}: {message}")


def duplicate(field: str, value: Any) -> Problem:
    return Problem(field, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Problem:
    choices = ", ".join(shown(choice) for choice in supported)
    return Problem(
        field,
        f"Unsupported value: {shown(value)}: supported values: {choices}",
        "FieldValueNotSupported",
    )


def forbidden(field: str, message: str) -> Problem:
    return Problem(field, f"Forbidden: {message}", "FieldValueForbidden")


def not_found(field: str, value: Any) -> Problem:
    return Problem(field, f"Not found: {shown(value)}", "FieldValueNotFound")


def too_long(field: str, longest: int) -> Problem:
    return Problem(field, f"Too long: may not be more than {longest} bytes", "FieldValueTooLong")


def too_many(field: str, count: int, most: int) -> Problem:
    return Problem(field, f"Too many: {count}: must have at most {most} items", "FieldValueTooMany")


def shown(value: Any) -> str:
    """A value as messages show it: JSON, cut short."""
    import orjson

    text = orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def one_of(field: str, value: Any, choices: Iterable[str]) -> Iterator[Problem]:
    """Unless `value` is one of `choices`: required when empty, unsupported otherwise."""
    if not value:
        yield required(field)
    elif value not in choices:
        yield unsupported(field, value, choices)


def not_negative(field: str, value: int | None) -> Iterator[Problem]:
    if value is not None and value < 0:
        yield invalid(field, value, NOT_NEGATIVE)


def port(field: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield invalid(field, value, PORT_RULE)


def address(field: str, value: Any) -> Iterator[Problem]:
    """Unless `value` is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        yield invalid(field, value, IP_RULE)


def named(
    field: str, name: str | None, rule: Callable[[str], str | None] = names.label_problem
) -> Iterator[Problem]:
    """Unless `name` is there and `rule` has nothing against it."""
    if not name:
        yield required(field)
    elif why := rule(name):
        yield invalid(field, name, why)


def unique(field: str, items: Iterable[tuple[str, Hashable]]) -> Iterator[Problem]:
    """A problem for every value seen before; `items` are paths below `field`, and values."""
    seen = set()
    for path, value in items:
        if value in seen:
            yield duplicate(field + path, value)
        seen.add(value)


def port_name_problem(name: str) -> str | None:
    """Why `name` cannot name a port (an IANA service name); None when it can."""
    if len(name) > 15:
        return "must be no more than 15 characters"
    if not _PORT_NAME.fullmatch(name):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not _LETTER.search(name):
        return "must contain at least one letter (a-z)"
    if "--" in name:
        return "must not contain consecutive hyphens"
    if name[0] == "-" or name[-1] == "-":
        return "must not begin or end with a hyphen"
    return None


def label_map(field: str, found: Mapping[str, str] | None) -> Iterator[Problem]:
    """What is wrong with labels, or with anything written like them."""
    for key, value in (found or {}).items():
        if not labels.is_key(key):
            yield invalid(field, key, KEY_RULE)
        if len(value) > 63:
            yield invalid(field, value, "must be no more than 63 bytes")
        elif not labels.is_value(value):
            yield invalid(field, value, VALUE_RULE)


def selector(field: str, found: Mapping[str, Any] | None) -> Iterator[Problem]:
    """What is wrong with a LabelSelector."""
    found = found or {}
    yield from label_map(f"{field}.matchLabels", found.get("matchLabels"))
    for index, term in enumerate(found.get("matchExpressions") or ()):
        yield from _expression(f"{field}.matchExpressions[{index}]", term)


def _expression(path: str, term: Mapping[str, Any]) -> Iterator[Problem]:
    operator, values = term.get("operator"), term.get("values")
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(
                f"{path}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    if not labels.is_key(term.get("key", "")):
        yield invalid(f"{path}.key", term.get("key", ""), KEY_RULE)
    for place, value in enumerate(values or ()):
        if not labels.is_value(value):
            yield invalid(f"{path}.values[{place}]", value, VALUE_RULE)
