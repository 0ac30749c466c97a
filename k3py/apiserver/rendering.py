"""Answers: as JSON, YAML, a table for kubectl get, or metadata alone, as the client accepts.

A JSON list is the stored bytes of its objects, joined; nothing is decoded for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.api.objects import Object
from k3py.apiserver import bodies, table
from k3py.apiserver.request import Many
from k3py.apiserver.watching import Refused, Stream, line
from k3py.base.clock import SYSTEM

_META = "meta.k8s.io"
_YAMLS = (bodies.YAML, "text/yaml", "application/x-yaml")


@dataclass(frozen=True)
class Form:
    """What the client wants: `yaml` or JSON, and perhaps a Table or PartialObjectMetadata.

    `include` is a table's includeObject: Metadata, Object or None.
    """

    yaml: bool = False
    shape: str = ""
    version: str = "v1"
    include: table.Include = "Metadata"

    @property
    def media_type(self) -> str:
        return bodies.YAML if self.yaml else bodies.JSON


PLAIN = Form()


@lru_cache(maxsize=256)
def form(accept: str, included: str = "") -> Form:
    """The first form in an Accept header that can be given; `included` is includeObject.

    Raises NotAcceptable, BadRequest.
    """
    include = _included(included)
    if not accept:
        return PLAIN
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        chosen = dict(p.partition("=")[::2] for p in parameters)
        shape = chosen.get("as", "")
        if shape and chosen.get("g", _META) != _META:
            continue
        if shape not in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            continue
        version = chosen.get("v", "v1")
        if media in (bodies.JSON, "application/*", "*/*"):
            return Form(False, shape, version, include)
        if media in _YAMLS:
            return Form(True, shape, version, include)
    raise errors.NotAcceptable(
        "only the following media types are accepted: application/json, application/yaml"
    )


def _included(text: str) -> table.Include:
    match text:
        case "None" | "Metadata" | "Object":
            return text
        case "":
            return "Metadata"
    raise errors.BadRequest(f'includeObject: Invalid value: "{text}"')


def one(kind: Kind, value: bytes, wanted: Form) -> bytes:
    """One object's body."""
    if not wanted.shape:
        return bodies.to_yaml(orjson.loads(value)) if wanted.yaml else value
    obj = orjson.loads(value)
    if obj.get("kind") != kind.kind:  # a Status, a token: nothing to make a row of
        return _encoded(obj, wanted)
    if wanted.shape == "Table":
        revision = int(obj["metadata"].get("resourceVersion") or 0)
        return _encoded(_table(kind, [obj], Many(kind, [], revision), wanted), wanted)
    return _encoded(_partial(obj, wanted), wanted)


def many(answer: Many, wanted: Form) -> bytes:
    """A list's body."""
    kind = answer.kind
    metadata: dict[str, Any] = {"resourceVersion": str(answer.revision)}
    if answer.continue_:
        metadata["continue"] = answer.continue_
    if answer.remaining is not None:
        metadata["remainingItemCount"] = answer.remaining
    if not wanted.shape:
        body = b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[%s]}' % (
            kind.kind.encode(),
            kind.api_version.encode(),
            orjson.dumps(metadata),
            b",".join(answer.items),
        )
        return bodies.to_yaml(orjson.loads(body)) if wanted.yaml else body
    objects = [orjson.loads(item) for item in answer.items]
    if wanted.shape == "Table":
        return _encoded(_table(kind, objects, answer, wanted), wanted)
    found = {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"{_META}/{wanted.version}",
        "metadata": metadata,
        "items": [_partial(obj, wanted) for obj in objects],
    }
    return _encoded(found, wanted)


def events(stream: Stream | Refused, wanted: Form) -> Iterator[bytes]:
    """A watch's body, a line for each event. YAML cannot be streamed: it is JSON as well."""
    if not wanted.shape:
        for change in stream:
            yield line(change.type, change.value)
        return
    reshape = _row(stream.kind, wanted) if wanted.shape == "Table" else _metadata(wanted)
    for change in stream:
        obj = orjson.loads(change.value)
        shaped = obj if change.type == "ERROR" else reshape(obj)
        yield orjson.dumps({"type": change.type, "object": shaped}) + b"\n"


def value(found: Any, wanted: Form) -> bytes:
    """The body of something that is no object of a kind: a Status, discovery."""
    return _encoded(found, wanted)


def _encoded(found: Any, wanted: Form) -> bytes:
    return bodies.to_yaml(found) if wanted.yaml else orjson.dumps(found)


def _table(kind: Kind, objects: list[Object], answer: Many, wanted: Form) -> Object:
    found = table.table(
        kind,
        objects,
        include=wanted.include,
        now=SYSTEM.now(),
        revision=answer.revision,
        continue_=answer.continue_,
        remaining=answer.remaining,
    )
    return found | {"apiVersion": f"{_META}/{wanted.version}"}


def _row(kind: Kind, wanted: Form) -> Callable[[Object], Object]:
    """Each event of a watch is a table of one row; only the first says what the columns are."""
    said = False

    def reshape(obj: Object) -> Object:
        nonlocal said
        found = table.event(kind, obj, include=wanted.include, now=SYSTEM.now(), first=not said)
        said = True
        return found | {"apiVersion": f"{_META}/{wanted.version}"}

    return reshape


def _metadata(wanted: Form) -> Callable[[Object], Object]:
    return lambda obj: _partial(obj, wanted)


def _partial(obj: Object, wanted: Form) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{_META}/{wanted.version}",
        "metadata": obj["metadata"],
    }
