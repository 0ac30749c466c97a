"""The HTTP face: Flask, one route, and the pipeline behind it. Errors are Status objects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import flask
from werkzeug.exceptions import HTTPException

from k3py.api import errors
from k3py.api.objects import Object
from k3py.apiserver import authn, bodies, patching, paths, rendering
from k3py.apiserver.authn.impersonation import impersonated
from k3py.apiserver.authz import Attributes
from k3py.apiserver.pipeline import Pipeline
from k3py.apiserver.request import ANONYMOUS, Many, One, Request, User
from k3py.apiserver.watching import Refused, Stream
from k3py.base.log import Log

log = Log("k3py.apiserver.web")

Response = flask.Response
Route = Callable[[flask.Request], Any]
Document = Callable[[flask.Request], Response]
Connect = Callable[[Request, flask.Request], Response]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PUBLIC = ("/livez", "/readyz", "/healthz", "/version")
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")
# In characters, of one warning and of all of them.
_LONGEST_WARNING, _MOST_WARNED = 256, 4096


@dataclass(frozen=True)
class Face:
    """What there is to serve.

    `routes` are open to all and no business of Kubernetes; `documents` answers what is no
    resource (discovery, health), None when there is no such path; `connects` are the
    subresources that take a connection over, by plural and name.
    """

    pipeline: Pipeline
    resources: paths.Resources
    verifiers: Sequence[authn.Verify]
    routes: Mapping[str, Route]
    documents: Callable[[str], Document | None]
    connects: Mapping[tuple[str, str], Connect]


def create_app(face: Face) -> flask.Flask:
    app = flask.Flask("k3py", static_folder=None)
    app.url_map.merge_slashes = False

    @app.route("/", defaults={"path": ""}, methods=_METHODS)
    @app.route("/<path:path>", methods=_METHODS)
    def serve(path: str) -> Any:
        return _serve(face, flask.request)

    @app.errorhandler(errors.ApiError)
    def refuse(error: errors.ApiError) -> Response:
        return _refusal(error)

    @app.errorhandler(HTTPException)
    def misunderstood(error: HTTPException) -> Response:
        made = errors.from_status({"code": error.code, "message": error.description or str(error)})
        return _refusal(made)

    @app.errorhandler(Exception)
    def fail(_error: Exception) -> Response:
        log.exception("request failed", method=flask.request.method, path=flask.request.path)
        return _refusal(errors.InternalError("Internal error occurred: see the server's log"))

    return app


def _serve(face: Face, http: flask.Request) -> Any:
    environ = http.environ
    path, _, query_text = environ["REQUEST_URI"].partition("?")
    route = face.routes.get(path)
    if route is not None:
        return route(http)
    user = _user(face, http)
    if user.name == ANONYMOUS.name and not path.startswith(_PUBLIC):
        raise errors.Unauthorized("Unauthorized")
    target = face.resources.find(path)
    if target is None:
        return _document(face, http, user, path)
    query = dict(parse_qsl(query_text, keep_blank_values=True)) if query_text else {}
    request = _request(http, user, target, query)
    connect = face.connects.get((target.kind.plural, target.subresource))
    if connect is not None:
        _check_connect(face.pipeline, request, http)
        return connect(request, http)
    return _resource(face, request, http)


def _request(
    http: flask.Request, user: User, target: paths.Target, query: Mapping[str, str]
) -> Request:
    kind, namespace, name, subresource, tail = target
    verb = paths.verb(http.method, target, watch=paths.is_watch(query))
    return Request(
        user,
        verb,
        kind,
        namespace,
        name,
        subresource,
        how=http.mimetype if verb == "patch" else "",
        options=paths.options(query),
        tail=tail,
    )


def _resource(face: Face, request: Request, http: flask.Request) -> Response:
    headers = http.environ
    included = http.args["includeObject"] if "includeObject=" in headers["QUERY_STRING"] else ""
    form = rendering.form(headers.get("HTTP_ACCEPT", ""), included)
    if request.verb == "patch":
        patching.check_media_type(request.how)
    face.pipeline.check(request)  # before the body: reading it is work for who has no right to it
    if http.method in _WITH_BODY:
        request = replace(request, body=_body(http, request))
    if not request.options.manager and request.verb in ("create", "update", "patch"):
        manager = headers.get("HTTP_USER_AGENT", "").partition("/")[0][:128]
        if request.how != "application/apply-patch+yaml":
            request = replace(request, options=replace(request.options, manager=manager))
    answer = face.pipeline.serve(request)
    if isinstance(answer, One):
        body = rendering.one(answer.kind or request.kind, answer.value, form)
        response = Response(body, answer.code, mimetype=form.media_type)
    elif isinstance(answer, Many):
        response = Response(rendering.many(answer, form), mimetype=form.media_type)
    else:
        return _streamed(answer, form, http)
    for header in _warning_headers(request.warnings):
        response.headers.add("Warning", header)
    return response


def _warning_headers(warnings: Iterable[str]) -> Iterator[str]:
    """Warnings as RFC 7234 has them: no control characters, and as much as Kubernetes sends."""
    left = _MOST_WARNED
    for warning in warnings:
        shown = "".join(filter(str.isprintable, warning))[: min(_LONGEST_WARNING, left)]
        if not shown:
            return
        left -= len(shown)
        quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
        yield f'299 - "{quoted}"'.encode().decode("latin-1")  # bytes, as WSGI wants them


def _streamed(answer: Stream | Refused, form: rendering.Form, http: flask.Request) -> Response:
    connection = http.environ.get("k3py.connection")
    http.environ["k3py.stream"] = True

    def lines() -> Any:
        if connection is None:
            yield from rendering.events(answer, form)
            return
        with connection.watched(answer.close):
            yield from rendering.events(answer, form)

    response = Response(lines(), mimetype=bodies.JSON)
    response.call_on_close(answer.close)
    return response


def _body(http: flask.Request, request: Request) -> Any:
    length = http.content_length
    if length is not None and length > bodies.LARGEST_BYTES:
        raise _too_large()
    body = http.environ["wsgi.input"].read(bodies.LARGEST_BYTES + 1)
    if len(body) > bodies.LARGEST_BYTES:
        raise _too_large()
    found = bodies.decoded(body, http.headers.get("Content-Type", ""))
    if found is None and request.verb in ("create", "update", "patch"):
        raise errors.BadRequest("the request has no body")
    if request.verb in ("delete", "deletecollection") and not isinstance(found, dict | None):
        raise errors.BadRequest("the body of a deletion is a DeleteOptions object")
    return found


def _document(face: Face, http: flask.Request, user: User, path: str) -> Response:
    document = face.documents(path)
    if path != "/" and path.endswith("/") and document is None:
        document = face.documents(path.rstrip("/"))
    if document is None:
        face.pipeline.authorize(user, Attributes(http.method.lower(), path=path))
        raise errors.NotFound("the server could not find the requested resource")
    if not path.startswith(_PUBLIC):
        face.pipeline.authorize(user, Attributes(http.method.lower(), path=path))
    if http.method not in ("GET", "HEAD"):
        raise errors.MethodNotAllowed(
            "the server does not allow this method on the requested resource"
        )
    return document(http)


def _check_connect(pipeline: Pipeline, request: Request, http: flask.Request) -> None:
    """Opening a stream with GET, as WebSockets must, needs the right to create it as well."""
    pipeline.check(request)
    if request.subresource in ("exec", "attach", "portforward") and request.verb == "get":
        pipeline.check(replace(request, verb="create"))


def _user(face: Face, http: flask.Request) -> User:
    environ = http.environ
    user = authn.authenticated(
        environ.get("k3py.certificate"), environ.get("HTTP_AUTHORIZATION", ""), face.verifiers
    )
    return impersonated(environ, user, face.pipeline.authorize)


def _refusal(error: errors.ApiError) -> Response:
    status: Object = error.status()
    response = Response(rendering.value(status, rendering.PLAIN), error.code, mimetype=bodies.JSON)
    seconds = error.details.get("retryAfterSeconds")
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response


def _too_large() -> errors.TooLarge:
    return errors.TooLarge(f"Request entity too large: limit is {bodies.LARGEST_BYTES}")
