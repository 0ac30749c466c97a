"""TLS and HTTP/1.1 for many quiet connections: gevent's pywsgi, with what it lacks.

Small answers leave at once (TCP_NODELAY), a failed handshake is no traceback, the path
reaches the application undecoded (a name may contain %2F), and a handler may take the
connection over: for upgrades, and to learn that a watcher has gone.

    environ["k3py.certificate"]   the verified client certificate's subject, or None
    environ["k3py.upgrade"]       the Upgrade header; hidden from the router, which refuses it
    environ["k3py.connection"]    a Connection
    environ["k3py.stream"]        set by the application: send the headers before the first data
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent import pywsgi
from gevent.pool import Pool

from k3py.base import threads, tls
from k3py.base.log import Log

log = Log("k3py.apiserver.listener")

_BACKLOG = 1024
_HANDSHAKE_SECONDS = 10
_STOP_SECONDS = 2
# A request that does not arrive for so long is not coming; Go's clients close after 90 s.
_IDLE_SECONDS = 300
_LONGEST_REQUEST_LINE = 64 * 1024
_MOST_CONNECTIONS = 5000
_JOINED_BYTES = 64 * 1024
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Connection:
    """What an application may do with the connection its request came over."""

    def __init__(self, handler: "_Handler") -> None:
        self._handler = handler

    def take(self, serve: Callable[[Any], None]) -> None:
        """Hand the socket to `serve` after this request. No client sends more before the 101.

        The application's own answer is dropped; the connection is closed when `serve` returns.
        """
        self._handler.taken = serve

    @contextlib.contextmanager
    def watched(self, on_hangup: Callable[[], None]) -> Any:
        """Call `on_hangup` as soon as the client goes away, while the block lasts."""
        watcher = gevent.get_hub().loop.io(self._handler.socket.fileno(), 1)
        watcher.start(self._read, watcher, on_hangup)
        try:
            yield
        finally:
            watcher.stop()
            watcher.close()

    def _read(self, watcher: Any, on_hangup: Callable[[], None]) -> None:
        """Runs in the hub: must not block. Nobody pipelines requests behind a watch."""
        try:
            if self._handler.read_now():
                return
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError:
            pass
        watcher.stop()
        gevent.spawn(on_hangup)


class _Handler(pywsgi.WSGIHandler):  # type: ignore[misc]
    taken: Callable[[Any], None] | None = None
    subject: Any = None

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["REQUEST_URI"] = self.path
        environ["k3py.certificate"] = self.subject
        environ["k3py.connection"] = Connection(self)
        environ["k3py.upgrade"] = environ.pop("HTTP_UPGRADE", "")
        if environ["k3py.upgrade"]:
            environ["k3py.headers"] = list(self.headers.items())
        return environ

    def handle(self) -> None:
        self.subject = _subject(self.socket)
        super().handle()

    def read_now(self) -> bytes:
        """What the client sent, without waiting; empty when it has hung up."""
        inner = getattr(self.socket, "_sslobj", None)
        if inner is not None:
            found: bytes = inner.read(1024)
            return found
        return bytes(self.socket._sock.recv(1024))

    def run_application(self) -> None:
        if not self.environ["k3py.upgrade"]:
            super().run_application()
            return
        begun: list[Any] = []
        result = self.application(self.environ, lambda *args: begun.append(args))
        if self.taken is None:
            self.start_response(*begun[0])
            self.result = result
            self.process_result()
            return
        getattr(result, "close", lambda: None)()
        self.status, self.code, self.headers_sent = b"101 Switching Protocols", 101, True
        self.result, self.provided_content_length = [], "0"
        self.response_use_chunked, self.close_connection = False, True
        self.socket.settimeout(None)
        self.taken(self.socket)

    def process_result(self) -> None:
        if self.environ.get("k3py.stream"):
            self.write(b"")  # the headers go out now: a watcher waits for them
        super().process_result()

    def _write_with_headers(self, data: bytes) -> None:
        """In one piece where that is possible: one TLS record, one packet."""
        self.headers_sent = True
        self.finalize_headers()
        if self.response_use_chunked or len(data) > _JOINED_BYTES:
            self._sendall(self._head())
            self._write(data)
        else:
            self._sendall(self._head() + data)

    def _head(self) -> bytes:
        lines = [b"HTTP/1.1 " + self.status]
        lines += [name + b": " + value for name, value in self.response_headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        log.debug("bad request", client=self.client_address, why=ex)
        return ("400", _BAD_REQUEST)

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if isinstance(v, OSError):  # a client that is gone, however its TLS puts it
            log.debug("connection lost", client=self.client_address, why=v)
            self.close_connection = True
            return
        super().handle_error(t, v, tb)

    def log_error(self, msg: str, *args: Any) -> None:
        log.debug("bad request", what=msg % args if args else msg)


class _Server(pywsgi.WSGIServer):  # type: ignore[misc]
    identity: tls.Identity

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            with gevent.Timeout(_HANDSHAKE_SECONDS, TimeoutError("no TLS handshake")):
                wrapped = self.identity.current().wrap_socket(client_socket, server_side=True)
        except OSError as failed:  # ssl.SSLError and TimeoutError among them
            log.debug("handshake failed", client=address[0], why=failed)
            client_socket.close()
            return
        wrapped.settimeout(_IDLE_SECONDS)
        try:
            self.handle(wrapped, address)
        except OSError as gone:
            log.debug("connection lost", client=address[0], why=gone)
        finally:
            with contextlib.suppress(OSError):
                wrapped.close()


def listen(
    application: Any,
    address: str,
    port: int,
    identity: tls.Identity,
    stop: threads.Stop,
) -> None:
    """Serve until `stop` is set. Raises OSError when the port is taken."""
    pywsgi.MAX_REQUEST_LINE = _LONGEST_REQUEST_LINE
    server = _Server(
        (address, port),
        application,
        log=None,
        error_log=None,
        handler_class=_Handler,
        backlog=_BACKLOG,
        spawn=Pool(_MOST_CONNECTIONS),
        ssl_context=identity.current(),
    )
    server.identity = identity
    server.start()
    log.info("listening", address=address, port=port)
    try:
        stop.wait()
    finally:
        server.stop(timeout=_STOP_SECONDS)


def server_identity(certificate: Path, key: Path, client_ca: Path) -> tls.Identity:
    """TLS 1.2 and later; a client may show a certificate, which then must be of `client_ca`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return tls.Identity(context, certificate, key)


def _subject(connection: Any) -> Any:
    certificate = getattr(connection, "getpeercert", lambda: None)()
    return certificate.get("subject") if certificate else None
