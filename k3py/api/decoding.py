"""What Go makes of JSON: what it refuses, what it drops, what it fills in.

Kubernetes decodes a request into structs before anything else looks at it. Here objects
stay trees, so these walks along a schema do what that decoding did, in this order:

    problem → unknown → prune → complete → check
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from k3py.api import quantities, times
from k3py.api.kind import Problem
from k3py.api.schema import Schema

_QUANTITY_RULE = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
# The same, but digits that are taken are not given back: else a long number takes for ever.
_QUANTITY = re.compile(r"^([+-]?[0-9.]++)([eEinumkKMGTP]*+[-+]?[0-9]*+)$")
_RANGES = {"int32": 1 << 31, "int64": 1 << 63}

# The parts of a time in the order they are read, as Go's layouts name them.
_DATE = r"2006=\d{4} -=- 01=\d\d -=- 02=\d\d T=T 15=\d\d :=: 04=\d\d :=: 05=\d\d"
_ZONE = r"Z07:00=(?:Z|[+-]\d\d:\d\d)"


def _layout(name: str, parts: str) -> tuple[str, list[tuple[str, re.Pattern[str]]]]:
    pairs = (part.split("=", 1) for part in parts.split())
    return name, [(part, re.compile(pattern, re.ASCII)) for part, pattern in pairs]


_LAYOUTS = {
    "date-time": _layout("2006-01-02T15:04:05Z07:00", rf"{_DATE} 05=(?:\.\d+)? {_ZONE}"),
    "micro-time": _layout(
        "2006-01-02T15:04:05.000000Z07:00", rf"{_DATE} .000000=\.\d{{6}} {_ZONE}"
    ),
}

# Strings and lists the published schema calls required, and the API server takes empty.
_MAY_BE_EMPTY = {
    ("HTTPHeader", "value"),
    ("Sysctl", "value"),
    ("TokenReviewSpec", "token"),
    ("LimitRangeSpec", "limits"),
    ("CSINodeSpec", "drivers"),
}
# Structs that are pointers in Go: missing is not the same as empty.
_POINTERS = {"io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"}
# What Kubernetes adds to 'Required value'.
_HINTS = {
    ("PolicyRule", "verbs"): "verbs must contain at least one value",
    ("NodeSelector", "nodeSelectorTerms"): "must have at least one node selector term",
}


def problem(schema: Schema, obj: Any) -> str | None:
    """Why Go could not decode `obj`, in its words; None if it could.

    The API server answers 400: '<kind> in version "<version>" cannot be handled as a
    <kind>: ' and this.
    """
    try:
        return _misfit(schema, obj, _Place())
    except RecursionError:
        return "exceeded max depth"


class _Place:
    """Where decoding is: the innermost struct, and the fields down to here."""

    __slots__ = ("fields", "struct")

    def __init__(self, struct: str = "", fields: tuple[str, ...] = ()) -> None:
        self.struct = struct
        self.fields = fields

    def refuse(self, value: Any, wanted: str) -> str:
        text = _literal(value, wanted)
        if not self.fields:
            return f"json: cannot unmarshal {text} into Go value of type {wanted}"
        where = f"{self.struct}.{'.'.join(self.fields)}"
        return f"json: cannot unmarshal {text} into Go struct field {where} of type {wanted}"


def _misfit(schema: Schema, value: Any, at: _Place) -> str | None:
    if value is None or not schema.type:
        return None
    if schema.type == "object":
        return _object_misfit(schema, value, at)
    if schema.type == "array":
        if not isinstance(value, list):
            return at.refuse(value, _go_type(schema))
        assert schema.items is not None
        found = (_misfit(schema.items, item, at) for item in value)
        return next(filter(None, found), None)
    return _scalar_misfit(schema, value, at)


def _object_misfit(schema: Schema, value: Any, at: _Place) -> str | None:
    if not isinstance(value, dict):
        return at.refuse(value, _go_type(schema))
    if schema.values is not None:
        found = (_misfit(schema.values, item, at) for item in value.values())
        return next(filter(None, found), None)
    properties = schema.properties
    for name, item in value.items():
        child = properties.get(name)
        if child is None or _is_plain(child, item):
            continue
        below = _Place(schema.definition.rpartition(".")[2], (*at.fields, name))
        wrong = _misfit(child, item, below)
        if wrong:
            return wrong
    return None


def _is_plain(schema: Schema, value: Any) -> bool:
    """The quick answer for most fields."""
    return type(value) is str and schema.type == "string" and not schema.format


def _scalar_misfit(schema: Schema, value: Any, at: _Place) -> str | None:
    form = schema.format
    if form == "quantity":
        return _quantity_misfit(value)
    if form == "int-or-string" and not isinstance(value, str):
        return None if _is_int(value, "int32") else at.refuse(value, "int32")
    if schema.type == "string":
        if not isinstance(value, str):
            return at.refuse(value, _go_type(schema))
        return _text_misfit(form, value)
    if schema.type == "boolean":
        return None if isinstance(value, bool) else at.refuse(value, "bool")
    if schema.type == "integer":
        return None if _is_int(value, form) else at.refuse(value, form or "int64")
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return None if good else at.refuse(value, "float64")


def _is_int(value: Any, form: str) -> bool:
    limit = _RANGES.get(form, 1 << 63)
    return type(value) is int and -limit <= value < limit


def _quantity_misfit(value: Any) -> str | None:
    if isinstance(value, str):
        value = value.strip()
    if not isinstance(value, bool) and quantities.is_quantity(value):
        return None
    if isinstance(value, str) and _QUANTITY.match(value):
        return "unable to parse quantity's suffix"
    return f"quantities must match the regular expression '{_QUANTITY_RULE}'"


def _text_misfit(form: str, value: str) -> str | None:
    if form in _LAYOUTS:
        return _time_misfit(form, value)
    if form == "byte":
        return _base64_misfit(value)
    return None


def _base64_misfit(value: str) -> str | None:
    text = value.replace("\n", "").replace("\r", "")  # as Go's decoder
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        bad = re.search(r"[^A-Za-z0-9+/]", value)
        return f"illegal base64 data at input byte {bad.start() if bad else len(value)}"
    return None


def _time_misfit(form: str, value: str) -> str | None:
    layout, parts = _LAYOUTS[form]
    at = 0
    for name, pattern in parts:
        found = pattern.match(value, at)
        if not found:
            shown = f'parsing time "{value}" as "{layout}"'
            return f'{shown}: cannot parse "{value[at:]}" as "{name}"'
        at = found.end()
    if at < len(value):
        return f'parsing time "{value}": extra text: "{value[at:]}"'
    try:
        times.parse(value)
    except (ValueError, OverflowError) as error:  # in UTC, too, it must be a date
        part = re.match(r"(year|month|day|hour|minute|second)", str(error))
        return f'parsing time "{value}": {part[0] if part else "time"} out of range'
    return None


def _literal(value: Any, wanted: str) -> str:
    """What Go calls a JSON value; it shows a number that does not fit another."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if wanted.startswith(("int", "float")) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _go_type(schema: Schema) -> str:
    if schema.type == "array" and schema.items is not None:
        return "[]" + _go_type(schema.items)
    if schema.values is not None:
        return "map[string]" + _go_type(schema.values)
    if schema.format == "byte":
        return "[]uint8"
    if schema.format == "quantity":
        return "resource.Quantity"
    if schema.type == "object" and schema.definition:
        return ".".join(schema.definition.split(".")[-2:])
    names = {"boolean": "bool", "number": "float64", "integer": schema.format or "int64"}
    return names.get(schema.type, schema.type or "interface {}")


def unknown(schema: Schema, obj: Any, path: str = "") -> list[str]:
    """The paths of the fields that do not exist, as Kubernetes' strict decoding names them."""
    found: list[str] = []
    if schema.type == "object" and isinstance(obj, dict):
        children = schema.properties
        for name, value in obj.items():
            child = schema.values or children.get(name)
            if child is None:
                found.append(f"{path}.{name}" if path else name)
            elif value.__class__ in (dict, list):
                found += unknown(child, value, f"{path}.{name}" if path else name)
    elif schema.items is not None and isinstance(obj, list):
        for number, value in enumerate(obj):
            if value.__class__ in (dict, list):
                found += unknown(schema.items, value, f"{path}[{number}]")
    return found


def prune(schema: Schema, obj: Any) -> None:
    """Leave, in place, what Go would keep: no unknown fields, no nulls; quantities and times in
    canonical form. `obj` must be decodable.
    """
    if schema.values is not None:
        for name, value in obj.items():
            obj[name] = _kept(schema.values, value)
    elif schema.type == "object":
        for name in [n for n, v in obj.items() if v is None or n not in schema.properties]:
            del obj[name]
        for name, value in obj.items():
            child = schema.properties[name]
            if value.__class__ is not str or child.format:
                obj[name] = _kept(child, value)
    elif schema.items is not None:
        obj[:] = [_kept(schema.items, value) for value in obj]


def _kept(schema: Schema, value: Any) -> Any:
    if value is None:
        return zero(schema)
    if schema.type in ("object", "array"):
        prune(schema, value)
        return value
    if schema.format == "quantity":
        return quantities.canonical(value)
    if schema.format == "date-time" and not (len(value) == 20 and value.endswith("Z")):
        return times.stamp(times.parse(value))
    if schema.format == "micro-time" and not value.endswith("Z"):
        return times.micro_stamp(times.parse(value))
    return value


def zero(schema: Schema) -> Any:
    """What Go has where JSON has nothing."""
    if schema.type == "object":
        return {}
    if schema.format == "quantity":
        return "0"
    if schema.format == "int-or-string":
        return 0
    if schema.format in _LAYOUTS:
        return None
    zeros = {"array": [], "string": "", "integer": 0, "number": 0, "boolean": False}
    return zeros.get(schema.type)


def complete(schema: Schema, obj: Any) -> None:
    """Add, in place, the zero values that Go has where required fields are missing, and specs.

    Then readers may index them. For whole objects only: a patch means what it leaves out.
    """
    if schema.items is not None:
        if schema.items.type in ("object", "array"):
            for item in obj:
                complete(schema.items, item)
        return
    children = schema.properties
    for name in (*schema.required, "metadata", "spec"):
        if name not in obj and name in children and _is_filled(children[name]):
            value = zero(children[name])
            if value is not None:
                obj[name] = value
    for name, value in obj.items():
        child = schema.values or children.get(name)
        if child is not None and value.__class__ in (dict, list) and child.type:
            complete(child, value)


def _is_filled(schema: Schema) -> bool:
    return schema.definition not in _POINTERS


def check(schema: Schema, obj: Any) -> Iterator[Problem]:
    """Values of the wrong type, and required fields that are missing or empty.

    The status is the server's own: nothing is required of it.
    """
    yield from _missing(schema, obj, "")
    for name, value in obj.items():
        child = schema.properties.get(name)
        if child is not None:
            yield from _wrong(child, value, name, required=name != "status")


def _wrong(schema: Schema, value: Any, path: str, *, required: bool) -> Iterator[Problem]:
    if value is None or not schema.type or _is_plain(schema, value):
        return
    if schema.type == "object" and isinstance(value, dict):
        if required and schema.required:
            yield from _missing(schema, value, path + ".")
        for name, item in value.items():
            child = schema.values or schema.properties.get(name)
            if child is not None and not _is_plain(child, item):
                below = f"{path}[{name}]" if schema.values else f"{path}.{name}"
                yield from _wrong(child, item, below, required=required)
    elif schema.type == "array" and isinstance(value, list):
        assert schema.items is not None
        for number, item in enumerate(value):
            if not _is_plain(schema.items, item):
                yield from _wrong(schema.items, item, f"{path}[{number}]", required=required)
    elif _misfit(schema, value, _Place()):
        yield _mistyped(schema, value, path)


def _mistyped(schema: Schema, value: Any, path: str) -> Problem:
    name = _literal(value, "")
    said = f"{path} in body must be of type {schema.type}"
    named = {"bool": "boolean"}.get(name, name)
    return Problem(path, f'Invalid value: "{named}": {said}: "{named}"', "FieldValueTypeInvalid")


def _missing(schema: Schema, obj: Any, prefix: str) -> Iterator[Problem]:
    for name in schema.required:
        value = obj.get(name)
        if not _is_missing(value):
            continue
        short = schema.definition.rpartition(".")[2]
        if value is not None and (short, name) in _MAY_BE_EMPTY:
            continue
        hint = _HINTS.get((short, name))
        message = f"Required value: {hint}" if hint else "Required value"
        yield Problem(prefix + name, message, "FieldValueRequired")


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or value == []
