"""`exec` over a WebSocket: this terminal on one side, a container on the other."""

import contextlib
import json
import os
import select
import signal
import sys
import termios
import tty as terminal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping

from k3py.client import remote
from k3py.client.remote import RemoteClient
from k3py.kinds import POD

_PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32 << 10


def run(
    client: RemoteClient,
    namespace: str,
    pod: str,
    command: tuple[str, ...],
    *,
    container: str,
    stdin: bool,
    tty: bool,
) -> int:
    """The command's exit code."""
    tty = tty and sys.stdin.isatty()
    query = [("command", word) for word in command] + [("stdout", "true")]
    query += [("container", container)] if container else []
    query += [("stdin", "true")] if stdin else []
    query += [("tty", "true")] if tty else [("stderr", "true")]
    where = remote.path(POD, namespace, pod, "exec")
    upgraded = client.upgrade(where, query=urlencode(query), protocol=_PROTOCOL)
    exchange = _Exchange(upgraded.connection.sock)
    with contextlib.closing(upgraded.connection), _raw(tty, exchange):
        return exchange.run(upgraded.first, stdin=stdin)


class _Exchange:
    """The loop over the connection and this process's own input."""

    def __init__(self, sock: Any) -> None:
        self._sock, self._ws = sock, Connection(ConnectionType.CLIENT)
        self._message = bytearray()
        self._code: int | None = None

    def run(self, first: bytes, *, stdin: bool) -> int:
        if first:
            self._take_in(first)
        watched = [self._sock, sys.stdin.fileno()] if stdin else [self._sock]
        while self._code is None:
            ready = [self._sock] if self._sock.pending() else select.select(watched, [], [])[0]
            if self._sock in ready and not self._receive():
                break
            if len(watched) > 1 and watched[1] in ready and not self._forward():
                watched.pop()
        return 1 if self._code is None else self._code

    def resize(self) -> None:
        size = os.get_terminal_size()
        self._send(_RESIZE, json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    def _receive(self) -> bool:
        data = self._sock.recv(65536)
        if data:
            self._take_in(data)
        return bool(data)

    def _forward(self) -> bool:
        data = os.read(sys.stdin.fileno(), _CHUNK)
        if data:
            self._send(_STDIN, data)
        else:
            self._sock.sendall(self._ws.send(BytesMessage(bytes([_CLOSE, _STDIN]))))
        return bool(data)

    def _send(self, channel: int, data: bytes) -> None:
        self._sock.sendall(self._ws.send(BytesMessage(bytes([channel]) + data)))

    def _take_in(self, data: bytes) -> None:
        self._ws.receive_data(data)
        for event in self._ws.events():
            if isinstance(event, BytesMessage):
                self._message += event.data
                if event.message_finished:
                    message, self._message = bytes(self._message), bytearray()
                    self._shown(message)
            elif isinstance(event, Ping):
                self._sock.sendall(self._ws.send(event.response()))
            elif isinstance(event, CloseConnection) and self._code is None:
                self._code = 1

    def _shown(self, message: bytes) -> None:
        channel, data = message[:1], message[1:]
        if channel == bytes([_STDOUT]):
            _write(sys.stdout.fileno(), data)
        elif channel == bytes([_STDERR]):
            _write(sys.stderr.fileno(), data)
        elif channel == bytes([_ERROR]):
            self._code = _exit_code(json.loads(data))


def _exit_code(status: dict[str, Any]) -> int:
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    _write(sys.stderr.fileno(), f"error: {status.get('message', 'unknown')}\n".encode())
    return 1


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


@contextlib.contextmanager
def _raw(tty: bool, exchange: _Exchange) -> Iterator[None]:
    """The terminal passes every key on, and its size, while this lasts."""
    if not tty:
        yield
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        terminal.setraw(handle)
        signal.signal(signal.SIGWINCH, lambda _number, _frame: exchange.resize())
        exchange.resize()
        yield
    finally:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
