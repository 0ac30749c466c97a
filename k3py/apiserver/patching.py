"""From what a client sends to the object it means: schemas, the four patches, managed fields."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from k3py.api import errors, schema
from k3py.api.kind import Problem
from k3py.api.objects import Object
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
    if why := shape.decode_problem(obj):
        raise errors.BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
        )
    _report_unknown(request, [f'unknown field "{path}"' for path in _unknown(shape, request, obj)])
    shape.prune(obj)
    shape.complete(obj)
    return iter(shape.check(obj))


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
    return [] if request.options.validation == "Ignore" else shape.unknown(obj)


def _report_unknown(request: Request, found: list[str]) -> None:
    if found and request.options.validation == "Strict":
        raise errors.BadRequest("strict decoding error: " + ", ".join(found))
    request.warnings.extend(w for w in found if w not in request.warnings)


def check_apply(request: Request) -> None:
    """Raises BadRequest for an apply patch without what it needs."""
    if not request.options.manager:
        raise errors.BadRequest(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )


def applied(request: Request, old: Object | None) -> Object:
    raise NotImplementedError


def track(request: Request, old: Object | None, new: Object, now: datetime) -> None:
    pass


def is_same_apply(new: Object, old: Object) -> bool:
    return new == old
