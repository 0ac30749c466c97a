"""From what a client sends to the object it means: schemas, the four patches, managed fields."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from k3py.api import decoding, errors, schema
from k3py.api.kind import Problem
from k3py.api.objects import Object, copy
from k3py.api.patch import apply as server_side
from k3py.api.patch import json_patch, merge_patch, strategic
from k3py.apiserver.request import Request
from k3py.client.client import Patch

APPLY = Patch.APPLY.value
_SUPPORTED = tuple(how.value for how in Patch)


def refine(request: Request, obj: Object) -> Iterator[Problem]:
    """Bring `obj`, in place, to what Kubernetes would have decoded; then say what is wrong.

    Raises BadRequest for what cannot be decoded, or has unknown fields under strict
    validation; under Warn these become warnings.
    """
    kind = request.kind
    shape = schema.for_kind(kind.api_version, kind.kind)
    if shape is None:
        return iter(())
    if why := decoding.problem(shape, obj):
        raise errors.BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
        )
    _report_unknown(request, [f'unknown field "{path}"' for path in _unknown(shape, request, obj)])
    decoding.prune(shape, obj)
    decoding.complete(shape, obj)
    return decoding.check(shape, obj)


def decoded_as(api_version: str, kind: str, body: Any) -> Object:
    """A body that shall be of a kind which is not stored: TokenRequest, Scale, DeleteOptions.

    Raises BadRequest.
    """
    if not isinstance(body, dict):
        raise errors.BadRequest(f"the body of the request is no {kind}")
    if body.get("kind") not in (None, "", kind):
        raise errors.BadRequest(f"the body of the request is a {body['kind']}, no {kind}")
    shape = schema.for_kind(api_version, kind)
    assert shape is not None, f"{api_version} {kind} has a schema"
    if why := decoding.problem(shape, body):
        raise errors.BadRequest(f"the body of the request cannot be handled as a {kind}: {why}")
    found: Object = copy(body)
    decoding.prune(shape, found)
    found.setdefault("metadata", {})
    return found


def patched(request: Request, old: Object) -> Object:
    """What a JSON, merge or strategic merge patch makes of `old`."""
    change: Any = request.body
    match request.how:
        case Patch.JSON.value:
            return json_patch.apply(old, change)
        case Patch.MERGE.value:
            return merge_patch.apply(old, change)
        case Patch.STRATEGIC.value:
            kind = request.kind
            return strategic.apply(old, change, schema.for_kind(kind.api_version, kind.kind))
    raise errors.UnsupportedMediaType(f"{request.how} is no kind of patch")


def check_media_type(how: str) -> None:
    """Raises UnsupportedMediaType for what is no kind of patch."""
    if how not in _SUPPORTED:
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(_SUPPORTED)
        )


def _unknown(shape: schema.Schema, request: Request, obj: Object) -> list[str]:
    return [] if request.options.validation == "Ignore" else decoding.unknown(shape, obj)


def _report_unknown(request: Request, found: list[str]) -> None:
    if found and request.options.validation == "Strict":
        raise errors.BadRequest("strict decoding error: " + ", ".join(found))
    request.warnings.extend(w for w in found if w not in request.warnings)


def check_apply(request: Request) -> None:
    """Raises BadRequest, Invalid for what cannot be applied at all."""
    body: Any = request.body
    kind = request.kind
    if not request.options.manager:
        problem = Problem(
            "fieldManager", "Required value: is required for apply patch", "FieldValueRequired"
        )
        raise errors.Invalid(
            f'PatchOptions.meta.k8s.io "" is invalid: {problem.field}: {problem.message}'
        )
    if not isinstance(body, dict) or not isinstance(body.get("metadata") or {}, dict):
        raise errors.BadRequest("error decoding patch: an apply patch is an object")
    if (body.get("apiVersion"), body.get("kind")) != (kind.api_version, kind.kind):
        raise errors.BadRequest(
            f"invalid object type: {body.get('apiVersion')}, Kind={body.get('kind')} cannot be "
            f"applied as {kind.api_version}, Kind={kind.kind}"
        )
    name = (body.get("metadata") or {}).get("name", request.name)
    if name != request.name:
        raise errors.BadRequest(
            f"the name of the object ({name}) does not match the name on the URL ({request.name})"
        )


def applied(request: Request, old: Object | None, now: datetime) -> Object:
    """What an apply patch makes of `old`, or a new object. Raises Conflict, BadRequest."""
    kind = request.kind
    shape = schema.for_kind(kind.api_version, kind.kind)
    body: Object = copy(request.body)
    body.setdefault("metadata", {}).setdefault("name", request.name)
    if shape is not None:
        if why := decoding.problem(shape, body):
            raise errors.BadRequest(f"failed to create typed patch object: {why}")
        _report_unknown(request, [f'unknown field "{p}"' for p in _unknown(shape, request, body)])
        decoding.prune(shape, body)
    return server_side.apply(
        old,
        body,
        manager=request.options.manager,
        force=request.options.force,
        schema=shape,
        now=now,
        subresource=request.subresource,
    )


def track(request: Request, old: Object | None, new: Object, now: datetime) -> None:
    """Keep the managed fields of an object up to date, in place."""
    metadata, kind = new["metadata"], request.kind
    found = server_side.track(
        old,
        new,
        manager=request.options.manager or "unknown",
        now=now,
        api_version=kind.api_version,
        schema=schema.for_kind(kind.api_version, kind.kind),
        subresource=request.subresource,
    )
    if found:
        metadata["managedFields"] = found
    else:
        metadata.pop("managedFields", None)


def is_same_apply(new: Object, old: Object) -> bool:
    """Whether an apply changed nothing but the times of its own managed fields."""

    def timeless(obj: Object) -> Object:
        fields = [
            {k: v for k, v in entry.items() if k != "time"}
            for entry in obj["metadata"].get("managedFields") or ()
        ]
        return obj | {"metadata": obj["metadata"] | {"managedFields": fields}}

    return timeless(new) == timeless(old)
