"""Streams to a node: log, exec, attach, port-forward and proxy, as raw bytes.

    client ⇄ (upgrade, TLS) ⇄ here ⇄ (the same upgrade, TLS) ⇄ the node's port 10250

The request goes on with its path rewritten; the frames inside, WebSocket or SPDY, are the
business of the client and the node alone.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import flask

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key, Object
from k3py.apiserver.reading import Reader
from k3py.apiserver.request import Request
from k3py.apiserver.subresources.upstream import Answer, Upstream, open_upstream
from k3py.base import threads
from k3py.base.log import Log

log = Log("k3py.apiserver.streams")

_KUBELET_PORT = 10250
_CONNECT_SECONDS = 10
_CHUNK = 64 * 1024
_LOG_OPTIONS = (
    "follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "previous", "limitBytes",
    "stream",
)  # fmt: skip
_STREAM_OPTIONS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_TRUE = ("1", "true", "True")
# What belongs to one connection, and what says who the client is: the node must not get it.
_NOT_PASSED = frozenset(
    ("host", "authorization", "connection", "upgrade", "content-length", "transfer-encoding",
     "te", "trailer", "keep-alive", "proxy-connection", "expect")
)  # fmt: skip


class Kubelets:
    """Connections to the nodes' own servers."""

    def __init__(self, reader: Reader, ca: Path, certificate: Path, key: Path) -> None:
        self._reader = reader
        self._context = ssl.create_default_context(cafile=str(ca))
        self._context.load_cert_chain(certificate, key)

    def connect(self, node_name: str) -> tuple[Any, str]:
        """A connection to a node, and its host name for requests. Raises ServiceUnavailable."""
        node = self._reader.get(kinds.NODE, Key("", node_name))
        if node is None:
            raise errors.not_found(kinds.NODE, node_name)
        address, port = _address(node)
        try:
            plain = socket.create_connection((address, port), _CONNECT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped = self._context.wrap_socket(plain, server_hostname=address)
        except OSError as failed:
            raise errors.InternalError(
                f'error dialing backend: node "{node_name}" at {address}:{port}: {failed}'
            ) from failed
        wrapped.settimeout(None)
        return wrapped, f"{address}:{port}"


class Streams:
    """`connects` is what the web calls, by plural and subresource."""

    def __init__(self, reader: Reader, kubelets: Kubelets) -> None:
        self._reader, self._kubelets = reader, kubelets

    def connects(self) -> Mapping[tuple[str, str], Callable[[Request, flask.Request], Any]]:
        return {
            ("pods", "log"): self.log,
            ("pods", "exec"): self.execute,
            ("pods", "attach"): self.execute,
            ("pods", "portforward"): self.forward,
            ("pods", "proxy"): self.pod_proxy,
            ("nodes", "proxy"): self.node_proxy,
            ("services", "proxy"): self.service_proxy,
        }

    # -- containers -----------------------------------------------------------------------

    def log(self, request: Request, http: flask.Request) -> flask.Response:
        if http.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed("a log is only read")
        pod = self._pod(request)
        container = _container(pod, http.args.get("container", ""), started=False)
        query = {k: http.args[k] for k in _LOG_OPTIONS if k in http.args}
        path = f"/containerLogs/{request.namespace}/{request.name}/{container}"
        return self._ask_node(pod["spec"]["nodeName"], http, _with_query(path, query))

    def execute(self, request: Request, http: flask.Request) -> flask.Response:
        pod = self._pod(request)
        container = _container(pod, http.args.get("container", ""), started=True)
        query = [("command", part) for part in http.args.getlist("command")]
        for option, name in _STREAM_OPTIONS.items():
            if http.args.get(option, "") in _TRUE:
                query.append((name, "1"))
        if request.subresource == "exec" and not http.args.getlist("command"):
            raise errors.BadRequest("you must specify at least 1 command for the container")
        path = f"/{request.subresource}/{request.namespace}/{request.name}/{container}"
        return self._upgrade_at_node(pod, http, f"{path}?{urlencode(query)}")

    def forward(self, request: Request, http: flask.Request) -> flask.Response:
        pod = self._pod(request)
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            raise errors.BadRequest(
                f"unable to forward port because pod is not running. Current status="
                f"{pod['status']['phase']}"
            )
        query = [("port", port) for port in http.args.getlist("ports")]
        path = f"/portForward/{request.namespace}/{request.name}"
        return self._upgrade_at_node(pod, http, f"{path}?{urlencode(query)}" if query else path)

    # -- proxies --------------------------------------------------------------------------

    def pod_proxy(self, request: Request, http: flask.Request) -> flask.Response:
        scheme, name, port = _target_name(request.name)
        pod = self._reader.get(kinds.POD, Key(request.namespace, name))
        if pod is None:
            raise errors.not_found(kinds.POD, name)
        address = pod.get("status", {}).get("podIP")
        if not address:
            raise errors.ServiceUnavailable(f'pod "{name}" has no address yet')
        number = _port_number(port, _pod_ports(pod)) if port else _first_port(pod)
        return self._ask_address(scheme, address, number, request, http)

    def service_proxy(self, request: Request, http: flask.Request) -> flask.Response:
        scheme, name, port = _target_name(request.name)
        service = self._reader.get(kinds.SERVICE, Key(request.namespace, name))
        if service is None:
            raise errors.not_found(kinds.SERVICE, name)
        found = next(iter(self._backends(request.namespace, service, port)), None)
        if found is None:
            raise errors.ServiceUnavailable(f'no endpoints available for service "{request.name}"')
        return self._ask_address(scheme, found[0], found[1], request, http)

    def node_proxy(self, request: Request, http: flask.Request) -> flask.Response:
        name = _target_name(request.name)[1]
        path = _with_raw_query("/" + request.tail, http)
        if http.environ.get("k3py.upgrade"):
            connection, host = self._kubelets.connect(name)
            return _upgraded(http, open_upstream(connection, _head(http, path, host)))
        return self._ask_node(name, http, path)

    def _backends(self, namespace: str, service: Object, port: str) -> Iterator[tuple[str, int]]:
        ports = service["spec"].get("ports") or []
        wanted = next(
            (p for p in ports if not port or port in (p.get("name"), str(p["port"]))), None
        )
        if wanted is None:
            return
        name = service["metadata"]["name"]
        slices = self._reader.holding(kinds.ENDPOINT_SLICE, namespace, f'"{name}"'.encode())
        for found in slices:
            if (found["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
                continue
            number = next(
                (
                    p["port"]
                    for p in found.get("ports") or ()
                    if p.get("name", "") == wanted.get("name", "")
                ),
                None,
            )
            for endpoint in found.get("endpoints") or ():
                if number and (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint["addresses"][0], number

    # -- the far side ---------------------------------------------------------------------

    def _pod(self, request: Request) -> Object:
        pod = self._reader.get(kinds.POD, request.key)
        if pod is None:
            raise errors.not_found(kinds.POD, request.name)
        if not pod["spec"].get("nodeName"):
            raise errors.BadRequest(f"pod {request.name} does not have a host assigned")
        return pod

    def _ask_node(self, node: str, http: flask.Request, path: str) -> flask.Response:
        connection, host = self._kubelets.connect(node)
        return _relayed(http, open_upstream(connection, _head(http, path, host), _body(http)))

    def _upgrade_at_node(self, pod: Object, http: flask.Request, path: str) -> flask.Response:
        if not http.environ.get("k3py.upgrade"):
            raise errors.BadRequest("Upgrade request required")
        connection, host = self._kubelets.connect(pod["spec"]["nodeName"])
        return _upgraded(http, open_upstream(connection, _head(http, path, host)))

    def _ask_address(
        self, scheme: str, address: str, port: int, request: Request, http: flask.Request
    ) -> flask.Response:
        try:
            connection: Any = socket.create_connection((address, port), _CONNECT_SECONDS)
            if scheme == "https":
                # As upstream: a pod's own certificate proves nothing to us.
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = context.wrap_socket(connection, server_hostname=address)
            connection.settimeout(None)
        except OSError as failed:
            raise errors.ServiceUnavailable(
                f"error trying to reach service: dial tcp {address}:{port}: {failed}"
            ) from failed
        head = _head(http, _with_raw_query("/" + request.tail, http), f"{address}:{port}")
        if http.environ.get("k3py.upgrade"):
            return _upgraded(http, open_upstream(connection, head))
        return _relayed(http, open_upstream(connection, head, _body(http)))


def _address(node: Object) -> tuple[str, int]:
    status = node.get("status") or {}
    found = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    address = found.get("InternalIP") or found.get("ExternalIP") or found.get("Hostname")
    if not address:
        name = node["metadata"]["name"]
        raise errors.ServiceUnavailable(f'node "{name}" has no address yet')
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    return address, port or _KUBELET_PORT


def _container(pod: Object, name: str, *, started: bool) -> str:
    """The container that is meant. Raises BadRequest when that is not clear."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    main = [c["name"] for c in spec["containers"]]
    fields = ("initContainers", "ephemeralContainers")
    others = [c["name"] for field in fields for c in spec.get(field) or ()]
    if name:
        if name in main or name in others:
            return name
        raise errors.BadRequest(f"container {name} is not valid for pod {pod_name}")
    if len(main) == 1:
        return str(main[0])
    chosen = (pod["metadata"].get("annotations") or {}).get(
        "kubectl.kubernetes.io/default-container"
    )
    if started and chosen in main:
        return str(chosen)
    raise errors.BadRequest(
        f"a container name must be specified for pod {pod_name}, choose one of: "
        f"[{' '.join(main)}]"
        + (f" or one of the init containers: [{' '.join(others)}]" if others else "")
    )


def _target_name(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of a proxy target: web, web:80, https:web:443."""
    parts = name.split(":")
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0] or "http", parts[1], parts[2]
    if len(parts) <= 2:
        return "http", parts[0], parts[1] if len(parts) == 2 else ""
    raise errors.BadRequest(f'invalid request "{name}"')


def _pod_ports(pod: Object) -> dict[str, int]:
    return {
        p["name"]: p["containerPort"]
        for c in pod["spec"]["containers"]
        for p in c.get("ports") or ()
        if p.get("name")
    }


def _first_port(pod: Object) -> int:
    ports = (p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or ())
    return next(ports, 80)


def _port_number(port: str, named: Mapping[str, int]) -> int:
    if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return int(port)
    if port in named:
        return named[port]
    raise errors.BadRequest(f'"{port}" is no port of it')


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _with_raw_query(path: str, http: flask.Request) -> str:
    query = http.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _head(http: flask.Request, path: str, host: str) -> bytes:
    """The request line and headers for the far side."""
    upgrade = http.environ.get("k3py.upgrade")
    lines = [f"{http.method} {quote(path, safe='/?&=%:+,;@!$()*~.-_[]')} HTTP/1.1", f"Host: {host}"]
    passed = http.environ.get("k3py.headers") or list(http.headers.items())
    for name, value in passed:
        low = name.lower()
        if low not in _NOT_PASSED and not low.startswith(("impersonate-", "x-remote-")):
            lines.append(f"{name}: {value}")
    if upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {upgrade}"]
    else:
        lines.append("Connection: close")
        length = http.content_length
        if length is not None:
            lines.append(f"Content-Length: {length}")
        elif http.environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            lines.append("Transfer-Encoding: chunked")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _body(http: flask.Request) -> Iterator[bytes]:
    """The client's body in pieces, framed as its headers say."""
    stream = http.environ["wsgi.input"]
    chunked = http.content_length is None and (
        http.environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    )
    if http.content_length is None and not chunked:
        return
    while piece := stream.read(_CHUNK):
        yield b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"


def _relayed(http: flask.Request, upstream: Upstream) -> flask.Response:
    """The far side's answer, piece by piece."""
    answer = upstream.answer
    http.environ["k3py.stream"] = True
    connection = http.environ.get("k3py.connection")

    def pieces() -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            stack.callback(upstream.close)
            if connection is not None:
                stack.enter_context(connection.watched(upstream.close))
            yield from upstream.body()

    response = flask.Response(pieces(), answer.code, direct_passthrough=True)
    response.headers.clear()
    for name, value in answer.headers:
        if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
            response.headers.add(name, value)
    response.call_on_close(upstream.close)
    return response


def _upgraded(http: flask.Request, upstream: Upstream) -> flask.Response:
    """Join the two connections, if the far side agreed to switch; relay its refusal otherwise."""
    if upstream.answer.code != 101:
        return _relayed(http, upstream)

    def serve(client: Any) -> None:
        client.sendall(_switching(upstream.answer) + upstream.rest)
        _join(client, upstream.connection)

    http.environ["k3py.connection"].take(serve)
    return flask.Response(status=101)


def _switching(answer: Answer) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _join(client: Any, node: Any) -> None:
    """Copy both ways until both sides have said all they had to, or one is gone."""
    back = threads.spawn("stream", lambda: _copy(node, client))
    _copy(client, node)
    back.join()
    for one in (client, node):
        with contextlib.suppress(OSError):
            one.close()


def _copy(source: Any, target: Any) -> None:
    try:
        while piece := source.recv(_CHUNK):
            target.sendall(piece)
    except OSError as gone:
        log.debug("stream ended", why=gone)
    # TLS knows no half-closed connection here: whoever is done, is done for both.
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
