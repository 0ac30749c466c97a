"""The API over HTTPS, as the holder of a certificate or of a token."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from k3py.api import errors, meta
from k3py.api.kind import Kind
from k3py.api.objects import Event, Key, Listing, Object
from k3py.client.client import Patch
from k3py.client.connections import (
    TIMEOUT_SECONDS,
    Connections,
    Pem,
    Stream,
    Upgraded,
    failure_of,
)

WATCH_SECONDS = 480
"""How long a watch may last before the server ends it; a new one goes on from there."""
_JSON = "application/json"


class RemoteClient:
    """A Client for the server at `url`, which only the CA given vouches for.

    Certificates and keys are files or PEM as bytes; `token` is the token itself, or a file
    that always holds the current one. No answer within `timeout` seconds, or no trust, raises
    connections.Unreachable, which is an errors.ServiceUnavailable.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: Path | bytes,
        certificate: Path | bytes = b"",
        key: Path | bytes = b"",
        token: str | Path = "",
        timeout: float = TIMEOUT_SECONDS,
        agent: str = "k3py",
    ) -> None:
        self._connections = Connections(url, Pem(ca, certificate, key), timeout=timeout)
        self.url = self._connections.url
        self._token, self._agent = token, agent

    def get(self, kind: Kind, key: Key, *, subresource: str = "") -> Object:
        return self.request("GET", path(kind, key.namespace, key.name, subresource))

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
        query = {"labelSelector": labels, "fieldSelector": fields, "continue": continue_}
        query |= {"limit": str(limit or "")}
        found = self.request("GET", path(kind, namespace), query=query)
        items = [_named(kind, item) for item in found["items"] or ()]
        about = found["metadata"]
        more, remaining = about.get("continue", ""), about.get("remainingItemCount")
        return Listing(items, meta.revision(found), more, remaining)

    def watch(
        self, kind: Kind, namespace: str = "", *, since: int, labels: str = "", fields: str = ""
    ) -> "RemoteWatch":
        query = {
            "watch": "1",
            "allowWatchBookmarks": "1",
            "resourceVersion": str(since),
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        return RemoteWatch(self.stream("GET", path(kind, namespace), query=query))

    def create(self, kind: Kind, obj: Object) -> Object:
        where = path(kind, obj["metadata"].get("namespace", ""))
        return self.request("POST", where, _named(kind, obj))

    def create_at(self, kind: Kind, key: Key, subresource: str, obj: Object) -> Object:
        return self.request("POST", path(kind, key.namespace, key.name, subresource), obj)

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        key = meta.key(obj)
        where = path(kind, key.namespace, key.name, subresource)
        return self.request("PUT", where, obj if subresource == "scale" else _named(kind, obj))

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
        query = {"fieldManager": manager, "force": "true" if force else ""}
        where = path(kind, key.namespace, key.name, subresource)
        return self.request("PATCH", where, change, query=query, media=how.value)

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        grace: int | None = None,
        propagation: str = "",
        uid: str = "",
    ) -> None:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation:
            options["propagationPolicy"] = propagation
        if uid:
            options["preconditions"] = {"uid": uid}
        self.request("DELETE", path(kind, key.namespace, key.name), options)

    def request(
        self,
        method: str,
        where: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        """One JSON call to any path of the server. Raises what its Status stands for."""
        headers = self._headers() | {"Accept": accept}
        data = None
        if body is not None:
            headers["Content-Type"] = media
            data = orjson.dumps(body)
        answer = self._connections.ask(method, _target(where, query), headers, data)
        if answer.code >= 400:
            raise failure_of(answer.code, answer.content)
        found: Object = orjson.loads(answer.content) if answer.content else {}
        return found

    def stream(
        self, method: str, where: str, *, query: Mapping[str, str] | None = None
    ) -> Stream:  # fmt: skip
        """An answer that goes on, such as a log that is followed."""
        return self._connections.stream(method, _target(where, query), self._headers())

    def upgrade(self, where: str, *, query: str, protocol: str) -> Upgraded:
        """A connection that has become a WebSocket of `protocol`. Raises errors.ApiError."""
        headers = self._headers() | {"Sec-WebSocket-Protocol": protocol}
        return self._connections.upgrade(f"{where}?{query}", headers)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._connections.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _JSON, "User-Agent": self._agent}
        token = self._token.read_text().strip() if isinstance(self._token, Path) else self._token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


class RemoteWatch:
    """The lines of a watch, as events."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Event]:
        for line in self._stream.lines():
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                self.close()
                raise errors.from_status(event["object"])
            yield Event(event["type"], event["object"])

    def close(self) -> None:
        self._stream.close()


def path(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Where a kind, an object or a subresource is served."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    space = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    rest = "".join(f"/{quote(part, safe='')}" for part in (name, subresource) if part)
    return f"{root}{space}/{kind.plural}{rest}"


def _target(where: str, query: Mapping[str, str] | None) -> str:
    asked = {k: v for k, v in (query or {}).items() if v}
    return f"{where}?{urlencode(asked)}" if asked else where


def _named(kind: Kind, obj: Object) -> Object:
    """`obj` with the type that the items of a list, and hasty callers, leave out."""
    return {"apiVersion": kind.api_version, "kind": kind.kind} | obj
