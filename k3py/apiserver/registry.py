"""Create, update, patch, delete and list any kind, on the store.

This is where bytes become objects. The order of a write:

    schema → defaults → admission → allocation → the kind's own rules → managed fields → store

A write is based on the revision it read; when another came between, it is decided anew,
unless the client named the revision itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from k3py.api import errors, names
from k3py.api.kind import Kind, Problem
from k3py.api.objects import Key, Object, copy
from k3py.apiserver import deletion, keys, listing, patching, stewardship, validation
from k3py.apiserver.admission import Admission, Review
from k3py.apiserver.allocation import Allocator
from k3py.apiserver.request import Many, One, Options, Request
from k3py.apiserver.watching import Refused, Stream
from k3py.base.clock import SYSTEM, Clock
from k3py.kinds import POD, SERVICE
from k3py.store.errors import Conflict
from k3py.store.record import Record
from k3py.store.store import Store

_ATTEMPTS = 16
_NAMES_TRIED = 8

Change = Callable[[Object], Object]
Part = Callable[[Kind, Object, Object], Object]
Problems = list[Problem]  # the registry has a method called list


class Registry:
    """All stored kinds. Whether a request is allowed has been decided before."""

    def __init__(
        self,
        store: Store,
        *,
        admission: Sequence[Admission] = (),
        allocator: Allocator | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.store = store
        self._admission, self._allocator, self._clock = tuple(admission), allocator, clock

    def get(self, kind: Kind, key: Key) -> One:
        return One(_value(self._record(kind, key)))

    def read(self, kind: Kind, key: Key) -> Object:
        """The object itself, for the caller to change. Raises NotFound."""
        found: Object = orjson.loads(_value(self._record(kind, key)))
        return found

    def list(self, request: Request) -> Many:
        return listing.answer(self.store, request)

    def watch(self, request: Request) -> Stream | Refused:
        return listing.stream(self.store, request, clock=self._clock)

    # -- create ---------------------------------------------------------------------------

    def create(self, request: Request) -> One:
        kind, obj = request.kind, request.body
        _check_body(kind, obj, request.namespace)
        base = "" if obj["metadata"].get("name") else obj["metadata"].get("generateName", "")
        for _ in range(_NAMES_TRIED if base else 1):
            if base:
                obj["metadata"]["name"] = names.generated(base)
            try:
                return self._create(request, copy(obj) if base else obj)
            except Conflict:
                continue
        raise errors.already_exists(kind, obj["metadata"].get("name", base))

    def _create(self, request: Request, obj: Object) -> One:
        """Raises the store's Conflict when the name is taken."""
        kind = request.kind
        if not obj["metadata"].get("name"):
            why = "Required value: name or generateName is required"
            raise errors.invalid(kind, "", [Problem("metadata.name", why, "FieldValueRequired")])
        key = Key(request.namespace, obj["metadata"]["name"])
        stewardship.born(kind, obj, request.namespace, self._clock.now())
        found = list(patching.refine(request, obj))
        if not found:
            kind.default(obj)
            self.admit(Review(request.user, "create", kind, key, "", obj, None))
        return self._finish_creation(request, key, obj, found)

    def _finish_creation(self, request: Request, key: Key, obj: Object, found: Problems) -> One:
        kind, allocator = request.kind, self._allocator
        if not found:
            kind.default(obj)  # what admission added has defaults too
            kind.prepare(obj, None)
            found.extend(kind.validate(obj, None))
        found.extend(validation.problems(kind, obj))
        if found:
            raise errors.invalid(kind, key.name, found)
        if request.how != patching.APPLY:
            patching.track(request, None, obj, self._clock.now())
        if kind is SERVICE and allocator:
            with allocator.allocated(obj, None):
                return self._write_new(request, key, obj)
        return self._write_new(request, key, obj)

    def _write_new(self, request: Request, key: Key, obj: Object) -> One:
        place = keys.key(request.kind, key)
        if request.options.dry_run:
            if self.store.get(place):
                raise Conflict(place, self.store.get(place))
            return One(orjson.dumps(obj), 201)
        return One(_value(self.store.write(place, _at_revision(obj), after=0)), 201)

    # -- update and patch -----------------------------------------------------------------

    def update(self, request: Request) -> One:
        kind, body = request.kind, request.body
        _check_body(kind, body, request.namespace)
        if body["metadata"].get("name", request.name) != request.name:
            raise errors.BadRequest(
                f"the name of the object ({body['metadata']['name']}) does not match the name "
                f"on the URL ({request.name})"
            )
        return self.rewrite(request, lambda _: copy(body), part=_part(request))

    def patch(self, request: Request, check_creation: Callable[[Request], None]) -> One:
        """Kubernetes' four kinds of patch; an apply patch creates what is not there.

        `check_creation` raises Forbidden for who may patch, but not create.
        """
        if request.how == patching.APPLY:
            return self._apply(request, check_creation)

        def change(old: Object) -> Object:
            new = patching.patched(request, old)
            _check_body(request.kind, new, request.namespace)
            return new

        return self.rewrite(request, change, part=_part(request))

    def _apply(self, request: Request, check_creation: Callable[[Request], None]) -> One:
        patching.check_apply(request)
        for _ in range(_ATTEMPTS):
            try:
                return self.rewrite(
                    request,
                    lambda old: patching.applied(request, old, self._clock.now()),
                    part=_part(request),
                )
            except errors.NotFound:
                if request.subresource or (request.body.get("metadata") or {}).get("uid"):
                    raise
            check_creation(request)
            try:
                return self._create(request, patching.applied(request, None, self._clock.now()))
            except Conflict:
                continue
        raise errors.conflict(request.kind, request.name)

    def rewrite(
        self, request: Request, change: Change, *, part: Part | None = None, trusted: bool = False
    ) -> One:
        """Replace an object by what `change` makes of a copy of it.

        `part` restores what this endpoint may not write. A `trusted` change is the server's
        own: neither schema, nor admission, nor the kind's rules look at it, and nobody
        comes to own a field by it.
        """
        kind, key = request.kind, request.key
        for _ in range(_ATTEMPTS):
            record = self._record(kind, key)
            old = orjson.loads(_value(record))
            new = change(orjson.loads(_value(record)))
            stewardship.check_meant(kind, new, old)
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            new = (part or stewardship.whole)(kind, new, old)
            try:
                if trusted:
                    return self._replace(request, record, old, new, tracked=False)
                return self._check_and_replace(request, record, old, new)
            except Conflict:
                continue
        raise errors.conflict(kind, key.name)

    def _check_and_replace(self, request: Request, record: Record, old: Object, new: Object) -> One:
        kind, is_status = request.kind, request.subresource == "status"
        found = list(patching.refine(request, new))
        if not found:
            if not is_status:
                kind.default(new)
            self.admit(
                Review(request.user, "update", kind, request.key, request.subresource, new, old)
            )
            if is_status:
                found.extend(kind.validate_status(new, old))
            else:
                kind.prepare(new, old)
                found.extend(kind.validate(new, old))
        found.extend(validation.problems(kind, new))
        if found:
            raise errors.invalid(kind, request.name, found)
        if kind is SERVICE and self._allocator and not is_status:
            with self._allocator.allocated(new, old):
                return self._replace(request, record, old, new)
        return self._replace(request, record, old, new)

    def _replace(
        self, request: Request, record: Record, old: Object, new: Object, *, tracked: bool = True
    ) -> One:
        kind, now = request.kind, self._clock.now()
        if request.how != patching.APPLY and stewardship.is_same(new, old):
            return One(_value(record))
        if request.how == patching.APPLY:
            if patching.is_same_apply(new, old):
                return One(_value(record))
        elif tracked:
            patching.track(request, old, new, now)
        if request.options.dry_run:
            return One(orjson.dumps(new))
        place = keys.key(kind, request.key)
        if deletion.is_finished(kind, new):
            self.store.write(place, None, after=record.revision)
            return One(orjson.dumps(new))
        durable = not stewardship.is_fleeting(kind, new, old)
        written = self.store.write(place, _at_revision(new), after=record.revision, durable=durable)
        return One(_value(written))

    # -- delete ---------------------------------------------------------------------------

    def delete(self, request: Request) -> One:
        """The object while something holds it; a Status when it is gone."""
        wanted = deletion.options(request.options, request.body)
        for _ in range(_ATTEMPTS):
            record = self._record(request.kind, request.key)
            try:
                return self._delete(request, record, wanted)
            except Conflict:
                continue
        raise errors.conflict(request.kind, request.name)

    def delete_collection(self, request: Request) -> Many:
        """Delete what the selectors select; the answer is what was there."""
        wanted = deletion.options(request.options, request.body)
        found = self.list(request)
        for value in found.items:
            metadata = orjson.loads(value)["metadata"]
            one = Request(
                request.user,
                "delete",
                request.kind,
                metadata.get("namespace", ""),
                metadata["name"],
                body=request.body,
                options=wanted,
            )
            try:
                self.delete(one)
            except errors.NotFound:
                continue
        return found

    def _delete(self, request: Request, record: Record, wanted: Options) -> One:
        kind, place = request.kind, keys.key(request.kind, request.key)
        old = orjson.loads(_value(record))
        deletion.check_preconditions(kind, old, wanted)
        self.admit(Review(request.user, "delete", kind, request.key, "", None, old))
        new = deletion.marked(kind, old, wanted, self._clock.now())
        if deletion.is_finished(kind, new):
            if not wanted.dry_run:
                self.store.write(place, None, after=record.revision)
            return One(orjson.dumps(new)) if kind is POD else One(orjson.dumps(_gone(kind, old)))
        if new == old or wanted.dry_run:
            return One(orjson.dumps(new))
        return One(_value(self.store.write(place, _at_revision(new), after=record.revision)))

    # -- shared ---------------------------------------------------------------------------

    def admit(self, review: Review) -> None:
        for plugin in self._admission:
            plugin.admit(review)

    def _record(self, kind: Kind, key: Key) -> Record:
        record = self.store.get(keys.key(kind, key))
        if record is None or record.value is None:
            raise errors.not_found(kind, key.name)
        return record


def _part(request: Request) -> Part:
    return stewardship.status_part if request.subresource == "status" else stewardship.main_part


def _value(record: Record) -> bytes:
    assert record.value is not None
    return record.value


def _at_revision(obj: Object) -> Callable[[int], bytes]:
    """The bytes of `obj`, once the store knows the revision that they carry."""

    def value(revision: int) -> bytes:
        obj["metadata"]["resourceVersion"] = str(revision)
        return orjson.dumps(obj)

    return value


def _check_body(kind: Kind, obj: Any, namespace: str) -> None:
    """Raises BadRequest for a body that is no object of this kind and namespace."""
    if not isinstance(obj, dict):
        raise errors.BadRequest("the body of the request is not an object")
    obj.setdefault("kind", kind.kind)
    obj.setdefault("apiVersion", kind.api_version)
    if (obj["apiVersion"], obj["kind"]) != (kind.api_version, kind.kind):
        raise errors.BadRequest(
            f"{obj['kind']} in version {obj['apiVersion']} cannot be handled as a {kind.kind} "
            f"in version {kind.api_version}"
        )
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    if why := validation.shape_problem(obj["metadata"]):
        raise errors.BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled: {why}')
    if kind.namespaced and obj["metadata"].get("namespace", namespace) not in ("", namespace):
        raise errors.BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _gone(kind: Kind, obj: Object) -> Object:
    details = errors.about(kind, obj["metadata"]["name"]) | {"uid": obj["metadata"]["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
