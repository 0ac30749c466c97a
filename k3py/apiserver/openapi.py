"""/openapi/v2 and /openapi/v3: what kubectl explains with, and learns to trust us by.

Documents are written for the kinds that are really served, when they are first asked for,
from the published schemas; they are kept compressed.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from k3py.api import schema, schemas
from k3py.api.kind import Kind
from k3py.api.objects import Object
from k3py.apiserver import openapi_protobuf
from k3py.apiserver.operations import (
    DELETE_OPTIONS,
    PATCH,
    STATUS,
    Gvk,
    Operation,
    Parameter,
    operations,
    parameters,
    root,
)

VERSION = "v1.36.0"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_COMMON = {
    STATUS: _META + "Status",
    DELETE_OPTIONS: _META + "DeleteOptions",
    PATCH: _META + "Patch",
}
_JSON = "application/json"
_PATCHES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
_EXTENSIONS = {
    "list_type": "x-kubernetes-list-type",
    "list_map_keys": "x-kubernetes-list-map-keys",
    "map_type": "x-kubernetes-map-type",
    "patch_strategy": "x-kubernetes-patch-strategy",
    "merge_key": "x-kubernetes-patch-merge-key",
    "unions": "x-kubernetes-unions",
}


class OpenApi:
    """The documents for `kinds`. `served` says which of their subresources there are."""

    def __init__(
        self,
        kinds: Iterable[Kind],
        *,
        served: Callable[[Kind, str], bool] = lambda kind, subresource: True,
    ) -> None:
        self._groups: dict[str, list[Operation]] = {}
        for kind in kinds:
            self._groups.setdefault(root(kind), []).extend(operations(kind, served))
        self._kept: dict[str, bytes] = {}

    def index(self) -> Object:
        """/openapi/v3: where each group version's document is, with a hash that changes with it."""
        return {
            "paths": {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.hash(path)}"}
                for path in sorted(self._groups)
            }
        }

    def hash(self, path: str = "") -> str:
        """What the document of a group version depends on; of v2 without one. Good as an ETag."""
        found = self._groups.get(path, ()) if path else self._all()
        text = repr((VERSION, [tuple(operation) for operation in found]))
        return hashlib.sha256(text.encode()).hexdigest().upper()

    def v3(self, path: str) -> bytes | None:
        """The document of a group version, api/v1 or apis/apps/v1; None where nothing is served."""
        if path not in self._groups:
            return None
        return self._document(path, lambda: orjson.dumps(_v3(self._groups[path])))

    def v2(self) -> bytes:
        """The one document of everything."""
        return self._document("v2", lambda: orjson.dumps(_v2(self._all())))

    def v2_protobuf(self) -> bytes:
        """The same for kubectl before 1.29, which asks for openapi_protobuf.ACCEPTED."""
        return self._document("v2 protobuf", lambda: openapi_protobuf.document(_v2(self._all())))

    def _all(self) -> list[Operation]:
        return [operation for found in self._groups.values() for operation in found]

    def _document(self, name: str, write: Callable[[], bytes]) -> bytes:
        if name not in self._kept:
            data = write()
            self._kept[name] = zlib.compress(data)
            return data
        return zlib.decompress(self._kept[name])


def _v3(found: list[Operation]) -> Object:
    paths: Object = {}
    for operation in found:
        item = paths.setdefault(operation.path, {})
        item[operation.method] = _operation_v3(operation)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": _definitions(found, _Writer("#/components/schemas/", v2=False))},
    }


def _operation_v3(operation: Operation) -> Object:
    made = _operation(operation)
    made["parameters"] = [_parameter(p) | {"schema": _scalar(p)} for p in parameters(operation)]
    given = {_JSON: {"schema": ref}} if (ref := _ref(operation.gives)) else {"text/plain": {}}
    made["responses"] = {"200": {"description": "OK", "content": given}}
    if operation.takes:
        media = _PATCHES if operation.action == "patch" else ["*/*"]
        body = {"schema": _ref(operation.takes)}
        made["requestBody"] = {"content": dict.fromkeys(media, body)}
    return made


def _v2(found: list[Operation]) -> Object:
    paths: Object = {}
    for operation in found:
        item = paths.setdefault(operation.path, {})
        item[operation.method] = _operation_v2(operation)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "definitions": _definitions(found, _Writer("#/definitions/", v2=True)),
    }


def _operation_v2(operation: Operation) -> Object:
    made = _operation(operation)
    made["parameters"] = [_parameter(p) | _scalar(p) for p in parameters(operation)]
    if operation.takes:
        body = {"name": "body", "in": "body", "schema": _ref(operation.takes, "#/definitions/")}
        made["parameters"].append(body)
    made["consumes"] = _PATCHES if operation.action == "patch" else ["*/*"]
    made["produces"] = [_JSON]
    ref = _ref(operation.gives, "#/definitions/")
    made["responses"] = {"200": {"description": "OK", **({"schema": ref} if ref else {})}}
    return made


def _operation(operation: Operation) -> Object:
    return {
        "operationId": operation.id,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.kind._asdict(),
    }


def _parameter(parameter: Parameter) -> Object:
    made: Object = {"name": parameter.name, "in": parameter.place}
    if parameter.place == "path":
        made["required"] = True
    return made


def _scalar(parameter: Parameter) -> Object:
    return {"type": parameter.type, "uniqueItems": True}


def _ref(kind: Gvk | None, prefix: str = "#/components/schemas/") -> Object | None:
    name = _definition(kind) if kind else None
    return {"$ref": prefix + name} if name else None


def _definition(kind: Gvk) -> str | None:
    if kind in _COMMON:
        return _COMMON[kind]
    version = f"{kind.group}/{kind.version}" if kind.group else kind.version
    found = schema.for_kind(version, kind.kind)
    return found.definition if found else None


def _definitions(found: list[Operation], writer: "_Writer") -> Object:
    """The schemas that the operations name, and those these name."""
    made: Object = {}
    spoken = {kind for o in found for kind in (o.kind, o.takes, o.gives) if kind}
    waiting = sorted(name for name in map(_definition, spoken) if name)
    while waiting:
        name = waiting.pop()
        if name not in made:
            raw = writer.definitions.get(name)
            made[name] = writer.definition(name, raw)
            waiting += _references(raw)
    return dict(sorted(made.items()))


def _references(node: Any) -> Iterator[str]:
    if "ref" in node:
        yield node["ref"]
    for child in node.get("properties", {}).values():
        yield from _references(child)
    for name in ("items", "values"):
        if name in node:
            yield from _references(node[name])


class _Writer:
    """Writes compiled definitions as OpenAPI. Holds the unpacked texts: use it once."""

    def __init__(self, prefix: str, *, v2: bool) -> None:
        self.definitions = schemas.Archive("definitions.bin")
        self._descriptions = schemas.Archive("descriptions.bin")
        self._texts: dict[str, Object] = {}
        self._prefix, self._v2 = prefix, v2

    def definition(self, name: str, raw: Object) -> Object:
        texts = self._describe(name)
        made = self._node(raw)
        for field, child in made.get("properties", {}).items():
            if field in texts:
                child["description"] = texts[field]
        if "" in texts:
            made["description"] = texts[""]
        if "kinds" in raw:
            names = ("group", "version", "kind")
            made["x-kubernetes-group-version-kind"] = [
                dict(zip(names, kind, strict=True)) for kind in raw["kinds"]
            ]
        return made

    def _describe(self, name: str) -> Object:
        package, _, short = name.rpartition(".")
        if package not in self._texts:
            self._texts[package] = self._descriptions.get(package)
        texts: Object = self._texts[package].get(short, {})
        return texts

    def _node(self, raw: Object) -> Object:
        made: Object = {long: raw[short] for short, long in _EXTENSIONS.items() if short in raw}
        if "ref" in raw:
            ref = {"$ref": self._prefix + raw["ref"]}
            return made | (ref if self._v2 else {"allOf": [ref]})
        made |= self._type(raw["type"], raw.get("format", ""))
        if raw.get("properties"):
            made["properties"] = {k: self._node(v) for k, v in raw["properties"].items()}
        if "items" in raw:
            made["items"] = self._child(raw["items"])
        if "values" in raw:
            made["additionalProperties"] = self._child(raw["values"])
        for name in ("required", "default"):
            if name in raw:
                made[name] = raw[name]
        return made

    def _child(self, raw: Object) -> Object:
        """An element's schema: a plain reference in either version."""
        return {"$ref": self._prefix + raw["ref"]} if "ref" in raw else self._node(raw)

    def _type(self, kind: str, form: str) -> Object:
        if form == "quantity":
            return {"type": "string"} if self._v2 else _one_of("string", "number")
        if form == "int-or-string":
            made: Object = {"type": "string"} if self._v2 else _one_of("integer", "string")
            return made | {"format": form}
        if form == "micro-time":
            form = "date-time"
        if not kind:
            return {"type": "object"} if form else {}
        return {"type": kind, "format": form} if form else {"type": kind}


def _one_of(*types: str) -> Object:
    return {"oneOf": [{"type": kind} for kind in types]}
