"""What lies at the paths that are no resources: discovery, OpenAPI, health, version."""

from collections.abc import Callable

import flask
import orjson

from k3py.api.objects import Object
from k3py.apiserver import bodies, discovery, health, openapi_protobuf, rendering
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
            return self._openapi_v2
        group_version = path.removeprefix("/openapi/v3/")
        if group_version.removeprefix("/") not in self._openapi.index()["paths"]:
            return None
        return lambda http: _schema(
            http, self._openapi.hash(group_version), lambda: self._openapi.v3(group_version) or b""
        )

    def _openapi_v2(self, http: flask.Request) -> flask.Response:
        tag = self._openapi.hash()
        if openapi_protobuf.ACCEPTED not in http.environ.get("HTTP_ACCEPT", ""):
            return _schema(http, tag, self._openapi.v2)
        return _schema(http, tag, self._openapi.v2_protobuf, openapi_protobuf.MEDIA_TYPE)

    def _paths(self) -> list[str]:
        own = ("/api", "/api/v1", "/apis", "/openapi/v2", "/openapi/v3")
        return sorted((*own, *self._health.paths(), *self._others))


def _schema(
    http: flask.Request, tag: str, made: Callable[[], bytes], media_type: str = bodies.JSON
) -> flask.Response:
    """A large document that rarely changes: not sent to who has it, kept for good by its hash."""
    quoted = f'"{tag}"'
    if http.environ.get("HTTP_IF_NONE_MATCH") == quoted:
        return flask.Response(status=304, headers={"ETag": quoted})
    response = flask.Response(made(), mimetype=media_type, headers={"ETag": quoted})
    if http.args.get("hash") == tag:
        response.headers["Cache-Control"] = "public, immutable"
    return response


def _answer(http: flask.Request, found: Object | str) -> flask.Response:
    if isinstance(found, str):
        return flask.Response(found, mimetype="text/plain")
    accept = http.environ.get("HTTP_ACCEPT", "")
    wanted = rendering.PLAIN
    if "yaml" in accept and "json" not in accept:
        wanted = rendering.Form(yaml=True)
    return flask.Response(rendering.value(found, wanted), mimetype=wanted.media_type)
