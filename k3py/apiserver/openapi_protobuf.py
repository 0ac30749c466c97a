"""The OpenAPI v2 document in protobuf: the only form that kubectl before 1.29 reads.

The messages are those of github.com/google/gnostic-models, openapi.v2; the numbers below
are its field numbers. Only what our own documents contain is written.
"""

from collections.abc import Callable
from typing import Any

import orjson

from k3py.api.objects import Object
from k3py.api.protobuf import block, text

# Clients ask for the first, which is no valid media type; the answer must bear the second.
ACCEPTED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
_REQUIRED = b"\x08\x01"  # field 1: true


def document(v2: Object) -> bytes:
    """The bytes of a v2 document."""
    info = text(1, v2["info"]["title"]) + text(2, v2["info"]["version"])
    paths = _named(2, v2["paths"], _path_item)
    definitions = _named(1, v2["definitions"], _schema)
    return text(1, v2["swagger"]) + block(2, info) + block(8, paths) + block(9, definitions)


def _named(number: int, values: Object, write: Callable[[Any], bytes]) -> bytes:
    """A map: repeated messages of a name and a value."""
    return b"".join(
        block(number, text(1, name) + block(2, write(value))) for name, value in values.items()
    )


def _path_item(item: Object) -> bytes:
    return b"".join(block(_METHODS[method], _operation(o)) for method, o in item.items())


def _operation(operation: Object) -> bytes:
    return (
        text(5, operation["operationId"])
        + _strings(6, operation["produces"])
        + _strings(7, operation["consumes"])
        + b"".join(block(8, block(1, _parameter(p))) for p in operation["parameters"])
        + block(9, _named(1, operation["responses"], _response))
        + _extensions(13, operation)
    )


def _parameter(parameter: Object) -> bytes:
    if parameter["in"] == "body":
        body = text(2, parameter["name"]) + text(3, "body") + block(5, _schema(parameter["schema"]))
        return block(1, body)
    is_query = parameter["in"] == "query"
    named = text(2, parameter["in"]) + text(4, parameter["name"])
    required = _REQUIRED if parameter.get("required") else b""
    kind = text(6 if is_query else 5, parameter["type"])
    return block(2, block(3 if is_query else 4, required + named + kind))


def _response(response: Object) -> bytes:
    made = text(1, response["description"])
    if "schema" in response:
        made += block(2, block(1, _schema(response["schema"])))
    return block(1, made)


def _schema(schema: Object) -> bytes:
    made = b""
    for number, name in ((1, "$ref"), (2, "format"), (4, "description")):
        if name in schema:
            made += text(number, schema[name])
    if "default" in schema:
        made += block(5, _any(schema["default"]))
    made += _strings(19, schema.get("required", ()))
    if "additionalProperties" in schema:
        made += block(21, block(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        made += block(22, text(1, schema["type"]))
    if "items" in schema:
        made += block(23, block(1, _schema(schema["items"])))
    if "properties" in schema:
        made += block(25, _named(1, schema["properties"], _schema))
    return made + _extensions(31, schema)


def _strings(number: int, values: Any) -> bytes:
    return b"".join(text(number, value) for value in values)


def _extensions(number: int, node: Object) -> bytes:
    found = {name: value for name, value in node.items() if name.startswith("x-")}
    return _named(number, found, _any)


def _any(value: Any) -> bytes:
    """A value of any type, as YAML; JSON is that too."""
    return text(2, orjson.dumps(value).decode())
