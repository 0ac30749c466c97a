"""The Client of the components in this process: the same pipeline, without the network."""

from collections.abc import Iterator
from typing import Any

import orjson

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.api.objects import Event, Key, Listing, Object, copy
from k3py.apiserver.pipeline import Answer, Pipeline
from k3py.apiserver.request import Many, One, Options, Request, User
from k3py.apiserver.watching import Refused, Stream
from k3py.client.client import Patch


class LocalClient:
    """What `user` may do, by the rules that hold for everybody."""

    def __init__(self, pipeline: Pipeline, user: User) -> None:
        self._pipeline, self._user = pipeline, user

    def get(self, kind: Kind, key: Key, *, subresource: str = "") -> Object:
        return self._one(Request(self._user, "get", kind, *key, subresource))

    def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Listing:
        options = Options(labels=labels, fields=fields, limit=limit, continue_=continue_)
        found = self._handle(Request(self._user, "list", kind, namespace, options=options))
        assert isinstance(found, Many)
        items = [orjson.loads(item) for item in found.items]
        return Listing(items, found.revision, found.continue_, found.remaining)

    def watch(
        self, kind: Kind, namespace: str = "", *, since: int, labels: str = "", fields: str = ""
    ) -> "LocalWatch":
        options = Options(labels=labels, fields=fields, since=str(since), bookmarks=True)
        found = self._handle(Request(self._user, "watch", kind, namespace, options=options))
        assert isinstance(found, Stream | Refused)
        return LocalWatch(found)

    def create(self, kind: Kind, obj: Object) -> Object:
        metadata = obj.get("metadata") or {}
        key = Key(metadata.get("namespace", ""), "")
        return self._one(self._write("create", kind, key, "", copy(obj)))

    def create_at(self, kind: Kind, key: Key, subresource: str, obj: Object) -> Object:
        return self._one(self._write("create", kind, key, subresource, copy(obj)))

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        metadata = obj["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        return self._one(self._write("update", kind, key, subresource, copy(obj)))

    def patch(
        self,
        kind: Kind,
        key: Key,
        change: Any,
        *,
        how: Patch = Patch.MERGE,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
    ) -> Object:
        options = self._options(manager=manager or self._user.name, force=force)
        request = self._write("patch", kind, key, subresource, copy(change), how.value, options)
        return self._one(request)

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        grace: int | None = None,
        propagation: str = "",
        uid: str = "",
    ) -> None:
        body: Object = {}
        if uid:
            body["preconditions"] = {"uid": uid}
        options = Options(grace=grace, propagation=propagation)
        self._one(Request(self._user, "delete", kind, *key, body=body, options=options))

    def _write(
        self,
        verb: str,
        kind: Kind,
        key: Key,
        subresource: str,
        body: Any,
        how: str = "",
        options: Options | None = None,
    ) -> Request:
        options = options or self._options(manager=self._user.name)
        return Request(
            self._user, verb, kind, *key, subresource, body=body, how=how, options=options
        )

    def _options(self, *, manager: str, force: bool = False) -> Options:
        return Options(manager=manager, force=force, validation="Ignore")

    def _one(self, request: Request) -> Object:
        answer = self._handle(request)
        assert isinstance(answer, One)
        found: Object = orjson.loads(answer.value)
        return found

    def _handle(self, request: Request) -> Answer:
        return self._pipeline.handle(request)


class LocalWatch:
    """A stream's events, decoded. Raises Expired when its revision is gone."""

    def __init__(self, stream: Stream | Refused) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Event]:
        for change in self._stream:
            obj = orjson.loads(change.value)
            if change.type == "ERROR":
                raise errors.from_status(obj)
            yield Event(change.type, obj)

    def close(self) -> None:
        self._stream.close()
