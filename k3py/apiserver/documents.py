"""What lies at the paths that are no resources: discovery, OpenAPI, health, version."""

from collections.abc import Callable

import flask
import orjson

from k3py.api.objects import Object
from k3py.apiserver import bodies, discovery, health, rendering
from k3py.apiserver.discovery import Discovery
from k3py.apiserver.health import Health
from k3py.apiserver.openapi import OpenApi

Document = Callable[[flask.Request], flask.Response]

_JWKS = "/openid/v1/jwks"
_CONFIGURATION = "/.well-known/openid-configuration"


class Documents:
    """`others` are further paths, each with what makes its text or object."""

    def __init__(
        self,
        found: Discovery,
        checks: Health,
        schemas: OpenApi,
        others: dict[str, Callable[[], Object | str]],
    ) -> None:
        self._discovery, self._health, self._openapi = found, checks, schemas
        self._others = {"/version": lambda: dict(health.version()), **others}

    def at(self, path: str) -> Document | None:
        """What answers for a path; None when nothing does."""
        if path.startswith(self._health.paths()):
            return self._health_at(path)
        if path in self._others:
            return lambda http: _answer(http, self._others[path]())
        if path == "/":
            return lambda http: _answer(http, {"paths": self._paths()})
        if path.startswith("/openapi/"):
            return self._openapi_at(path)
        if self._discovery.document(path, aggregated=False) is not None:
            return lambda http: self._discovered(http, path)
        return None

    def _health_at(self, path: str) -> Document | None:
        first, _, name = path.strip("/").partition("/")
        if f"/{first}" not in self._health.paths() or "/" in name:
            return None
        return lambda http: self._health.answer(http, name)

    def _discovered(self, http: flask.Request, path: str) -> flask.Response:
        accept = http.environ.get("HTTP_ACCEPT", "")
        aggregated = path in ("/api", "/apis") and discovery.wants_aggregated(accept)
        found = self._discovery.document(path, aggregated=aggregated)
        if aggregated:
            return flask.Response(orjson.dumps(found), mimetype=discovery.AGGREGATED_TYPE)
        return _answer(http, found or {})

    def _openapi_at(self, path: str) -> Document | None:
        if path == "/openapi/v3":
            return lambda http: _answer(http, self._openapi.index())
        if path == "/openapi/v2":
            return lambda http: _answer(http, self._openapi.v2())
        if path.startswith("/openapi/v3/"):
            group_version = path.removeprefix("/openapi/v3/")
            return lambda http: _answer(http, self._openapi.v3(group_version))
        return None

    def _paths(self) -> list[str]:
        return sorted(
            ["/api", "/api/v1", "/apis", "/openapi/v2", "/openapi/v3"]
            + list(self._health.paths())
            + list(self._others)
        )


def _answer(http: flask.Request, found: Object | str | bytes) -> flask.Response:
    if isinstance(found, str):
        return flask.Response(found, mimetype="text/plain")
    if isinstance(found, bytes):
        return flask.Response(found, mimetype=bodies.JSON)
    accept = http.environ.get("HTTP_ACCEPT", "")
    wanted = rendering.PLAIN
    if "yaml" in accept and "json" not in accept:
        wanted = rendering.Form(yaml=True)
    return flask.Response(rendering.value(found, wanted), mimetype=wanted.media_type)
