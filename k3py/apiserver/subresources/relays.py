"""Passing a request on, and its answer back: piece by piece, or joined for good by an upgrade."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import flask

from k3py.apiserver.subresources.upstream import Answer, Upstream, open_upstream
from k3py.base import threads
from k3py.base.log import Log

log = Log("k3py.apiserver.relay")

_CHUNK = 64 * 1024
# What belongs to one connection, and what says who the client is: the node must not get it.
_NOT_PASSED = frozenset(
    ("host", "authorization", "connection", "upgrade", "content-length", "transfer-encoding",
     "te", "trailer", "keep-alive", "proxy-connection", "expect")
)  # fmt: skip


def relay(http: flask.Request, connection: Any, path: str, host: str) -> flask.Response:
    """Send a request on over `connection`, as one for `path`; its answer, or the joined streams."""
    head = _head(http, path, host)
    if http.environ.get("k3py.upgrade"):
        return _upgraded(http, open_upstream(connection, head))
    return _relayed(http, open_upstream(connection, head, _body(http)))


def _head(http: flask.Request, path: str, host: str) -> bytes:
    """The request line and headers for the far side."""
    upgrade = http.environ.get("k3py.upgrade")
    lines = [f"{http.method} {quote(path, safe='/?&=%:+,;@!$()*~.-_[]')} HTTP/1.1", f"Host: {host}"]
    passed = http.environ.get("k3py.headers") or list(http.headers.items())
    for name, value in passed:
        low = name.lower()
        if low not in _NOT_PASSED and not low.startswith(("impersonate-", "x-remote-")):
            lines.append(f"{name}: {' '.join(value.split())}")
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
    except (OSError, ValueError) as gone:  # ValueError: the other direction has closed it
        log.debug("stream ended", why=gone)
    # TLS knows no half-closed connection here: whoever is done, is done for both.
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
