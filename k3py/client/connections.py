"""HTTPS to one server, with what the standard library has.

Connections are kept and reused, whichever thread comes next; an answer that goes on has
one of its own. Trust is in the given CA alone, never in the system's.
"""

import base64
import contextlib
import http.client
import os
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from k3py.api import errors

TIMEOUT_SECONDS = 30.0
_IDLE_CONNECTIONS = 4


class Unreachable(errors.ServiceUnavailable):
    """No answer: the server is not there, not trusted, or does not trust us."""


class Pem(NamedTuple):
    """Whom to trust and who we are: by path (read again when it changes) or as bytes."""

    ca: Path | bytes
    certificate: Path | bytes = b""
    key: Path | bytes = b""


class Upgraded(NamedTuple):
    """A connection that has stopped being HTTP, and what already came through it."""

    connection: http.client.HTTPSConnection
    first: bytes


class Answer(NamedTuple):
    code: int
    content: bytes


class Connections:
    """`timeout` in seconds bounds connecting, and every answer but a stream's."""

    def __init__(self, url: str, pem: Pem, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._prefix = parts.path
        self._pem, self._timeout = pem, timeout
        self._lock = threading.Lock()  # guards the three below
        self._idle: deque[http.client.HTTPSConnection] = deque()
        self._context: ssl.SSLContext | None = None
        self._context_of: tuple[int, ...] = ()

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """The whole answer, whatever its code. Raises Unreachable."""
        connection, response = self._answered(method, target, headers, body)
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as failure:
            connection.close()
            raise self._unreachable(failure) from failure
        self._keep(connection, response)
        return Answer(response.status, content)

    def stream(self, method: str, target: str, headers: Mapping[str, str]) -> "Stream":
        """An answer that goes on, read without a timeout. Raises errors.ApiError.

        A server that vanished is noticed by TCP keep-alive, within about a minute.
        """
        connection = self._connection()
        sock = connection.sock
        try:
            connection.request(method, self._prefix + target, headers=dict(headers))
            response = connection.getresponse()
            if response.status < 400:
                sock.settimeout(None)
                return Stream(connection, response, sock)
            content = response.read()
        except (OSError, http.client.HTTPException) as failure:
            connection.close()
            raise self._unreachable(failure) from failure
        response.close()
        connection.close()
        raise failure_of(response.status, content)

    def upgrade(self, target: str, headers: Mapping[str, str]) -> "Upgraded":
        """A connection that is a WebSocket from now on (RFC 6455). Raises errors.ApiError."""
        wanted = {
            **headers,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        connection = self._connection()
        try:
            response = _ask(connection, "GET", self._prefix + target, wanted, None)
            if response.status == 101:
                return Upgraded(connection, _came_already(connection.sock, response))
            content = response.read()
        except (OSError, http.client.HTTPException) as failure:
            connection.close()
            raise self._unreachable(failure) from failure
        connection.close()
        raise failure_of(response.status, content)

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _answered(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        """Ask on a kept connection, or on a new one.

        A kept one may have been closed by the server while it lay idle. That is looked for
        before; when it happens just then, everything but a POST is asked once more.
        """
        kept = self._take_idle()
        if kept is not None:
            try:
                return kept, _ask(kept, method, self._prefix + target, headers, body)
            except (OSError, http.client.HTTPException) as failure:
                if method == "POST" or isinstance(failure, TimeoutError):
                    raise self._unreachable(failure) from failure
        connection = self._connection()
        try:
            return connection, _ask(connection, method, self._prefix + target, headers, body)
        except (OSError, http.client.HTTPException) as failure:
            raise self._unreachable(failure) from failure

    def _take_idle(self) -> http.client.HTTPSConnection | None:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or _is_open(connection.sock):
                return connection
            connection.close()

    def _keep(
        self, connection: http.client.HTTPSConnection, response: http.client.HTTPResponse
    ) -> None:
        with self._lock:
            if not response.will_close and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _connection(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=self._trust()
        )
        try:
            connection.connect()
        except OSError as failure:
            connection.close()
            raise self._unreachable(failure) from failure
        _keep_alive(connection.sock)
        return connection

    def _trust(self) -> ssl.SSLContext:
        """The TLS context, made anew when a certificate file was replaced."""
        try:
            seen = tuple(f.stat().st_mtime_ns for f in self._pem if isinstance(f, Path))
            with self._lock:
                if self._context is None or self._context_of != seen:
                    self._context, self._context_of = tls_context(self._pem), seen
                return self._context
        except (OSError, ValueError) as failure:
            raise Unreachable(f"the certificates cannot be used: {failure}") from failure

    def _unreachable(self, failure: Exception) -> Unreachable:
        return Unreachable(f"no answer from {self.url}: {failure or type(failure).__name__}")


class Stream:
    """An answer under way, on a connection of its own. One thread reads, any may close."""

    def __init__(
        self,
        connection: http.client.HTTPSConnection,
        response: http.client.HTTPResponse,
        sock: socket.socket,
    ) -> None:
        self._connection, self._response, self._sock = connection, response, sock
        self._lock = threading.Lock()  # guards the two below
        self._reading = False
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Pieces, as they come. Ends with the answer, the connection, or `close`."""
        with self._lock:
            if self._closed:
                return
            self._reading = True
        try:
            while not self._closed:
                data = self._response.read1(65536)
                if not data:
                    return
                yield data
        except (OSError, ValueError, http.client.HTTPException):
            return
        finally:
            with self._lock:
                self._reading, self._closed = False, True
                self._release()

    def lines(self) -> Iterator[bytes]:
        rest = b""
        for data in self:
            *lines, rest = (rest + data).split(b"\n")
            yield from filter(None, lines)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._reading:
                self._release()
                return
            # On a copy: the reader's own TLS socket must not change under it.
            with contextlib.suppress(OSError):
                copy = socket.socket(fileno=os.dup(self._sock.fileno()))
                with copy:
                    copy.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        self._response.close()
        self._connection.close()
        self._sock.close()


def failure_of(code: int, content: bytes) -> errors.ApiError:
    """The error that an answer with a code of 400 or more stands for."""
    try:
        status = orjson.loads(content)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return errors.from_status({"code": code} | status)
    text = content.decode(errors="replace").strip()[:500]
    return errors.from_status({"code": code, "message": text or f"HTTP {code}"})


def tls_context(pem: Pem) -> ssl.SSLContext:
    """Trust in `pem.ca` alone, and our own certificate where there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ca = pem.ca.read_bytes() if isinstance(pem.ca, Path) else pem.ca
    context.load_verify_locations(cadata=ca.decode())
    if pem.certificate:
        with _as_file(pem.certificate) as certificate, _as_file(pem.key) as key:
            context.load_cert_chain(certificate, key or None)
    return context


@contextlib.contextmanager
def _as_file(content: Path | bytes) -> Iterator[str]:
    """A file name to give to OpenSSL; a key that came as bytes never touches a disk."""
    if isinstance(content, Path):
        yield str(content)
        return
    handle = os.memfd_create("pem")
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}" if content else ""
    finally:
        os.close(handle)


def _ask(
    connection: http.client.HTTPSConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> http.client.HTTPResponse:
    try:
        connection.request(method, target, body=body, headers=dict(headers))
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _came_already(sock: socket.socket, response: http.client.HTTPResponse) -> bytes:
    """What came behind the answer's head, without waiting for more."""
    if response.fp is None:
        return b""
    sock.setblocking(False)
    try:
        return bytes(response.fp.peek())
    except (BlockingIOError, ssl.SSLWantReadError):
        return b""
    finally:
        sock.settimeout(None)


def _is_open(sock: socket.socket | None) -> bool:
    """Whether an idle connection is still open: anything to read now is its end."""
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 50_000)
