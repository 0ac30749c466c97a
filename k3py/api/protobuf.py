"""The built-in kinds on the wire as Kubernetes' protobuf, to and from JSON objects.

    'k8s' 0x00 · Unknown{ 1: TypeMeta{1: apiVersion, 2: kind}, 2: the object's message }

Field numbers come from a compiled table, read message by message as they are needed.
A row is [number, JSON name, type, shape], and the shapes say what Go does with nothing:

    value      written always, also when zero; kept in JSON when zero
    omitted    written always, also when zero; left out of JSON when zero
    pointer    written when it is there
    list, map  each element
    inline     a message of its own whose fields lie in the object around it

Encoding gives the bytes that Go gives. What is decoded has the shape, not yet the rules:
the schema must still look at it. Anything malformed is a ValueError.
"""

import base64
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import orjson

from k3py.api import schemas, times
from k3py.api.objects import Event, Object

PREFIX = b"k8s\x00"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES = {"bool": _VARINT, "int32": _VARINT, "int64": _VARINT, "double": _FIXED64}
_NO_TIME = -62_135_596_800  # the first second of the year 1: Go's zero time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Field(NamedTuple):
    number: int
    name: str  # in JSON
    type: str
    shape: str

    @property
    def wire(self) -> int:
        return _WIRES.get(self.type, _BYTES)


def knows(api_version: str, kind: str) -> bool:
    """Whether objects of this kind can be written in protobuf."""
    return _message_name(api_version, kind) is not None


def decode(body: bytes) -> Object:
    """The object in an envelope. Raises ValueError."""
    if not body.startswith(PREFIX):
        raise ValueError("provided data does not appear to be a protobuf message")
    try:
        return _opened(memoryview(body)[len(PREFIX) :])
    except (OverflowError, RecursionError, struct.error) as error:
        raise ValueError(f"proto: {error}") from error


def encode(obj: Object) -> bytes:
    """The envelope of an object. Raises ValueError for a kind without a table, or nonsense."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    name = _message_name(api_version, kind)
    if name is None:
        raise ValueError(f"{api_version} {kind} has no protobuf form")
    try:
        raw = _encoded(name, obj)
    except (TypeError, AttributeError, OverflowError, KeyError) as error:
        raise ValueError(f"{api_version} {kind} does not fit its protobuf form: {error}") from error
    type_meta = text(1, api_version) + text(2, kind)
    return PREFIX + block(1, type_meta) + block(2, raw) + text(3, "") + text(4, "")


def frame(event: Event) -> bytes:
    """One event of a watch: its length in four bytes, then a WatchEvent with the envelope."""
    message = text(1, event.type) + block(2, block(1, encode(event.object)))
    return len(message).to_bytes(4, "big") + message


# --- the table


@cache
def _archive() -> schemas.Archive:
    return schemas.Archive("protobuf.bin")


@cache
def _kinds() -> dict[str, str]:
    found: dict[str, str] = _archive().get("kinds")
    return found


def _message_name(api_version: str, kind: str) -> str | None:
    return _kinds().get(f"{api_version} {kind}") or _kinds().get(f" {kind}")


@cache
def _fields(message: str) -> dict[int, Field]:
    rows = sorted(_archive().get(message))
    return {row[0]: Field(*row) for row in rows}


# --- reading


def _opened(data: memoryview) -> Object:
    api_version = kind = ""
    raw = encoding = memoryview(b"")
    for number, value in entries(data):
        match number, value:
            case 1, memoryview():
                names = {n: _string(v) for n, v in entries(value) if isinstance(v, memoryview)}
                api_version, kind = names.get(1, ""), names.get(2, "")
            case 2, memoryview():
                raw = value
            case 3, memoryview():
                encoding = value
    if encoding:
        raise ValueError("proto: an encoded body is not supported")
    name = _message_name(api_version, kind)
    if name is None:
        raise ValueError(f'no kind "{kind}" is registered for version "{api_version}"')
    obj: Object = {"kind": kind, "apiVersion": api_version}
    _decode_into(obj, name, raw)
    return obj


def entries(data: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message of any type: integers, and views of what has a length."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError("proto: illegal tag 0")
        value: Any
        if wire == _BYTES:
            size, at = _varint(data, at)
            value = data[at : at + size]
            at += size
        elif wire == _VARINT:
            value, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value = _Fixed(data[at : at + size])
            at += size
        else:
            raise ValueError(f"proto: illegal wireType {wire}")
        if at > end:
            raise ValueError("proto: unexpected EOF")
        yield number, value


class _Fixed(NamedTuple):
    """Four or eight bytes: told apart from a string of the same length."""

    data: memoryview


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    try:
        byte = data[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift = byte & 0x7F, 7
        while shift < 64:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at + 1
            shift += 7
    except IndexError:
        raise ValueError("proto: unexpected EOF") from None
    raise ValueError("proto: integer overflow")


def _decode_into(obj: Object, message: str, data: memoryview) -> None:
    fields = _fields(message)
    for number, value in entries(data):
        field = fields.get(number)
        if field is None:
            continue
        name, shape = field.name, field.shape
        if shape == "inline":
            _decode_into(obj, field.type, _view(field, value))
        elif shape == "list":
            obj.setdefault(name, []).extend(_elements(field, value))
        elif shape == "map":
            key, item = _map_entry(field, _view(field, value))
            obj.setdefault(name, {})[key] = item
        elif "." in field.type:
            _decode_into(obj.setdefault(name, {}), field.type, _view(field, value))
        else:
            item = _decoded(field, value)
            if item is not None and (item or not _drops_zero(field)):
                obj[name] = item


def _drops_zero(field: Field) -> bool:
    if field.type in ("quantity", "int-or-string", "json"):
        return False
    return field.shape == "omitted" or field.type == "bytes"


def _view(field: Field, value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError(f"proto: wrong wireType for field {field.name}")
    return value


def _elements(field: Field, value: Any) -> list[Any]:
    """What one occurrence of a repeated field adds: an element, or a packed run of them."""
    if field.wire == _VARINT and isinstance(value, memoryview):
        return [_decoded(field, item) for item in _varints(value)]
    return [_decoded(field, value)]


def _varints(data: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _map_entry(field: Field, data: memoryview) -> tuple[str, Any]:
    key, item = "", None
    for number, value in entries(data):
        if number == 1:
            key = _string(_view(field, value))
        elif number == 2:
            item = _decoded(field, value)
    return key, _zero(field) if item is None else item


def _decoded(field: Field, value: Any) -> Any:
    """The JSON of one value. Raises ValueError if it came in the wrong wire type."""
    kind = field.type
    if field.wire == _VARINT:
        if not isinstance(value, int):
            raise ValueError(f"proto: wrong wireType for field {field.name}")
        return bool(value) if kind == "bool" else _signed(value, 32 if kind == "int32" else 64)
    if kind == "double":
        if not isinstance(value, _Fixed) or len(value.data) != 8:
            raise ValueError(f"proto: wrong wireType for field {field.name}")
        return struct.unpack("<d", value.data)[0]
    data = _view(field, value)
    if "." in kind:
        obj: Object = {}
        _decode_into(obj, kind, data)
        return obj
    return _READERS[kind](data)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _string(data: memoryview) -> str:
    return str(data, "utf-8")  # UnicodeDecodeError is a ValueError


def _base64(data: memoryview) -> str:
    return base64.b64encode(data).decode()


def _read_json(data: memoryview) -> Any:
    """The one field of a RawExtension or a FieldsV1: JSON text."""
    raw = next((v for n, v in entries(data) if n == 1 and isinstance(v, memoryview)), None)
    return orjson.loads(raw) if raw else None


def _read_strings(data: memoryview) -> list[str]:
    return [_string(v) for n, v in entries(data) if n == 1 and isinstance(v, memoryview)]


def _read_quantity(data: memoryview) -> str:
    texts = _read_strings(data)
    return texts[-1] if texts else "0"


def _read_int_or_string(data: memoryview) -> int | str:
    values = dict(entries(data))
    kind, number, chars = values.get(1, 0), values.get(2, 0), values.get(3, memoryview(b""))
    if kind == 1 and isinstance(chars, memoryview):
        return _string(chars)
    if kind == 0 and isinstance(number, int):
        return _signed(number, 32)
    raise ValueError("impossible IntOrString.Type")


def _moment(data: memoryview) -> datetime | None:
    if not data:
        return None
    values = dict(entries(data))
    seconds, nanos = values.get(1, 0), values.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        raise ValueError("proto: wrong wireType in a time")
    if _signed(seconds, 64) == _NO_TIME:
        return None
    return _EPOCH + timedelta(seconds=_signed(seconds, 64), microseconds=_signed(nanos, 32) // 1000)


def _read_time(data: memoryview) -> str | None:
    moment = _moment(data)
    return times.stamp(moment) if moment else None


def _read_micro_time(data: memoryview) -> str | None:
    moment = _moment(data)
    return times.micro_stamp(moment) if moment else None


_READERS: dict[str, Callable[[memoryview], Any]] = {
    "string": _string,
    "bytes": _base64,
    "json": _read_json,
    "strings": _read_strings,
    "quantity": _read_quantity,
    "int-or-string": _read_int_or_string,
    "time": _read_time,
    "micro-time": _read_micro_time,
}


# --- writing


def _encoded(message: str, obj: Object) -> bytes:
    out = bytearray()
    for field in _fields(message).values():
        if field.shape == "inline":
            out += block(field.number, _encoded(field.type, obj))
            continue
        value = obj.get(field.name)
        if field.shape == "list":
            for item in value or ():
                out += _written(field, _zero(field) if item is None else item)
        elif field.shape == "map":
            for key, item in sorted((value or {}).items()):
                out += block(field.number, _map_bytes(field, key, item))
        elif value is not None:
            out += _written(field, value)
        elif field.shape != "pointer":
            out += _written(field, _zero(field))
    return bytes(out)


def _map_bytes(field: Field, key: str, item: Any) -> bytes:
    item = _zero(field) if item is None else item
    return text(1, key) + _written(field._replace(number=2), item)


def _zero(field: Field) -> Any:
    if "." in field.type:
        return {}
    zeros = {"quantity": "0", "strings": (), "bool": False, "string": "", "bytes": ""}
    return zeros.get(field.type, None if field.type in _TIMELESS else 0)


_TIMELESS = ("time", "micro-time", "json")


def _written(field: Field, value: Any) -> bytes:
    kind, number = field.type, field.number
    if kind == "string":
        return text(number, value)
    if field.wire == _VARINT:
        return _tag(number, _VARINT) + _varint_bytes(int(value))
    if kind == "double":
        return _tag(number, _FIXED64) + struct.pack("<d", value)
    if "." in kind:
        return block(number, _encoded(kind, value))
    return block(number, _WRITERS[kind](value))


def _tag(number: int, wire: int) -> bytes:
    return _varint_bytes(number << 3 | wire)


def _varint_bytes(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF  # a negative number has ten bytes
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(number: int, data: bytes) -> bytes:
    """A field of bytes, or of a message that is encoded already."""
    return _tag(number, _BYTES) + _varint_bytes(len(data)) + data


def text(number: int, value: str) -> bytes:
    return block(number, value.encode())


def _write_json(value: Any) -> bytes:
    return b"" if value is None else block(1, orjson.dumps(value))


def _write_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _varint_field(1, 1) + _varint_field(2, 0) + text(3, value)
    return _varint_field(1, 0) + _varint_field(2, value) + text(3, "")


def _write_time(value: str | None) -> bytes:
    if value is None:
        return b""
    since = times.parse(value) - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return _varint_field(1, seconds) + _varint_field(2, since.microseconds * 1000)


def _varint_field(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint_bytes(value)


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "bytes": lambda value: base64.b64decode(value, validate=True),
    "json": _write_json,
    "strings": lambda values: b"".join(text(1, value) for value in values),
    "quantity": lambda value: text(1, str(value)),
    "int-or-string": _write_int_or_string,
    "time": _write_time,
    "micro-time": _write_time,
}
