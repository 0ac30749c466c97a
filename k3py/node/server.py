"""Port 10250: what the API server asks of a node. Logs, exec, attach, port-forward.

Only holders of a certificate of the cluster's client CA get past the handshake, and of those
only the API server and administrators (group system:masters) are answered: a node's own
certificate opens no other node.
"""

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from k3py.api import times
from k3py.base import threads, tls
from k3py.base.clock import SYSTEM
from k3py.base.log import Log
from k3py.node import channels, container_logs
from k3py.node.runtime.runtime import Runtime
from k3py.node.streaming import Command, PortForward, Wanted

PORT = 10250
GROUP = "system:masters"
_HANDSHAKE_SECONDS = 10
_MOST_CONNECTIONS = 256
log = Log("k3py.node.server")


class LogFile(NamedTuple):
    """A container's log file; `ended` is set once the container has."""

    path: Path
    ended: threading.Event


class Refused(Exception):
    """There is no such thing here; `code` is the HTTP status."""

    def __init__(self, message: str, code: int = 404) -> None:
        super().__init__(message)
        self.code = code


class Pods(Protocol):
    """What of the node's pods can be asked for by name. All raise Refused."""

    def running(self, namespace: str, pod: str, container: str) -> str:
        """The id of the container that runs under this name."""

    def has_terminal(self, namespace: str, pod: str, container: str) -> bool:
        """Whether the container itself was given a terminal (for attach)."""

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogFile: ...

    def netns(self, namespace: str, pod: str) -> Path | None:
        """Where the pod's ports are; None is the node's own network."""


@dataclass(frozen=True)
class Server:
    """Listens until stopped; a thread for each connection."""

    pods: Pods
    runtime: Runtime
    certificate: Path
    key: Path
    client_ca: Path
    address: str = ""
    port: int = PORT

    def run(self, stop: threads.Stop) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        identity = tls.Identity(context, self.certificate, self.key)
        context.load_verify_locations(self.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        slots = threading.Semaphore(_MOST_CONNECTIONS)
        with socket.create_server((self.address, self.port), backlog=64) as listener:

            def close() -> None:
                stop.wait()
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)

            threads.spawn("kubelet/stop", close)
            while not stop.is_set():
                try:
                    client, address = listener.accept()
                except OSError:
                    return
                if not slots.acquire(blocking=False):
                    client.close()
                    continue
                threads.spawn("kubelet", self._served(client, address, identity.current(), slots))

    def _served(
        self, client: socket.socket, address: Any, context: ssl.SSLContext, slots: Any
    ) -> Callable[[], None]:
        def serve() -> None:
            try:
                client.settimeout(_HANDSHAKE_SECONDS)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with (
                    contextlib.suppress(OSError),
                    context.wrap_socket(client, server_side=True) as sock,
                ):
                    _Handler(sock, address, self)
            finally:
                slots.release()
                client.close()

        return serve


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection. Its paths are the kubelet's."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "k3py", ""
    timeout = 60

    def __init__(self, sock: ssl.SSLSocket, address: Any, server: Server) -> None:
        self._node = server
        super().__init__(sock, address, server)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug("request", line=format % args)

    def _answer(self) -> None:
        self.close_connection = True
        parts = urlsplit(self.path)
        segments = [unquote(s) for s in parts.path.strip("/").split("/")]
        query = parse_qs(parts.query, keep_blank_values=True)
        try:
            self._authorize()
            match segments:
                case ["healthz"]:
                    self._text(200, "ok")
                case ["containerLogs", namespace, pod, container]:
                    self._logs(namespace, pod, container, query)
                case ["exec" | "attach" as verb, namespace, pod, container]:
                    self._command(verb, namespace, pod, container, query)
                case ["portForward", namespace, pod]:
                    self._port_forward(namespace, pod)
                case _:
                    raise Refused(f"there is nothing at {parts.path}")
        except Refused as refused:
            self._text(refused.code, f"{refused}\n")
        except (BrokenPipeError, ConnectionError, TimeoutError, ssl.SSLError):
            pass  # the client went away

    def _authorize(self) -> None:
        certificate = self.connection.getpeercert() or {}
        subject = [pair for entry in certificate.get("subject", ()) for pair in entry]
        if ("organizationName", GROUP) not in subject:
            raise Refused("Forbidden: only the API server may ask this", 403)

    def _text(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _logs(self, namespace: str, pod: str, container: str, query: dict[str, list[str]]) -> None:
        wanted = _log_query(query)
        found = self._node.pods.log(namespace, pod, container, previous=_flag(query, "previous"))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        gone = threading.Event()
        self.connection.settimeout(None)
        buffered = bytearray()
        for line in container_logs.read(found.path, wanted, ended=found.ended, gone=gone):
            buffered += line
            if wanted.follow or len(buffered) > 32 << 10:
                self._chunk(buffered)
                buffered = bytearray()
        self._chunk(buffered)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes | bytearray) -> None:
        if data:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def _command(
        self, verb: str, namespace: str, pod: str, container: str, query: dict[str, list[str]]
    ) -> None:
        pods = self._node.pods
        wanted = Wanted(
            container_id=pods.running(namespace, pod, container),
            command=tuple(query.get("command") or ()) if verb == "exec" else (),
            stdin=_flag(query, "input") or _flag(query, "stdin"),
            stdout=_flag(query, "output") or _flag(query, "stdout"),
            stderr=_flag(query, "error") or _flag(query, "stderr"),
            tty=_flag(query, "tty")
            if verb == "exec"
            else pods.has_terminal(namespace, pod, container),
        )
        if verb == "exec" and not wanted.command:
            raise Refused("a command is needed", 400)
        protocol, websocket = self._upgrade(channels.WEBSOCKET_PROTOCOLS, channels.SPDY_PROTOCOLS)
        first = self._already_read()
        Command(self._node.runtime, wanted).run(
            self.connection, first, protocol, websocket=websocket
        )

    def _port_forward(self, namespace: str, pod: str) -> None:
        netns = self._node.pods.netns(namespace, pod)
        _, websocket = self._upgrade((channels.TUNNEL,), (channels.PORT_FORWARD,))
        PortForward(netns).run(self.connection, self._already_read(), websocket=websocket)

    def _upgrade(self, websocket: tuple[str, ...], spdy: tuple[str, ...]) -> tuple[str, bool]:
        """Answer 101; the protocol agreed on, and whether it is within WebSocket messages."""
        kind = channels.upgrade(self.headers)  # type: ignore[arg-type]
        if kind == "websocket":
            lines = self.headers.get_all("Sec-WebSocket-Protocol") or []
            protocol = channels.choose(lines, websocket)
            key = self.headers.get("Sec-WebSocket-Key", "")
            answer = {
                "Upgrade": "websocket",
                "Sec-WebSocket-Accept": channels.accept_key(key),
                "Sec-WebSocket-Protocol": protocol,
            }
        elif kind == "spdy/3.1":
            lines = self.headers.get_all("X-Stream-Protocol-Version") or []
            protocol = channels.choose(lines, spdy)
            answer = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": protocol}
        else:
            raise Refused("Upgrade request required", 400)
        if not protocol:
            raise Refused(f"unable to negotiate protocol: client supports {lines}", 403)
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        for name, value in answer.items():
            self.send_header(name, value)
        self.end_headers()
        return protocol, kind == "websocket"

    def _already_read(self) -> bytes:
        """Bytes behind the request that the buffered reader has taken from the socket."""
        self.connection.settimeout(0)
        try:
            return self.rfile.peek() if hasattr(self.rfile, "peek") else b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""


def _flag(query: dict[str, list[str]], name: str) -> bool:
    return query.get(name, [""])[0] in ("1", "true", "True")


def _log_query(query: dict[str, list[str]]) -> container_logs.Query:
    """Raises Refused for what is no number or time."""

    def number(name: str) -> int | None:
        text = query.get(name, [""])[0]
        return max(0, int(text)) if text else None

    try:
        since = query.get("sinceTime", [""])[0]
        when = times.parse(since) if since else None
        if (seconds := number("sinceSeconds")) is not None:
            when = SYSTEM.now() - timedelta(seconds=seconds)
        return container_logs.Query(
            follow=_flag(query, "follow"),
            tail=number("tailLines"),
            since=when,
            timestamps=_flag(query, "timestamps"),
            limit=number("limitBytes"),
            stream=query.get("stream", ["All"])[0],
        )
    except ValueError as wrong:
        raise Refused(f"not a log query: {wrong}", 400) from wrong
