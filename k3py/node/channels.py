"""The two forms in which kubectl sends several streams over one connection.

WebSocket: each message's first byte is the channel (Kubernetes, "WebSocket streaming":
v4.channel.k8s.io, v5.channel.k8s.io; v5 adds a message that closes a channel). SPDY/3.1: a
stream for each, named by its streamtype header.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from k3py.base import spdy

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255
_LONGEST_MESSAGE = 4 << 20
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
)
SPDY_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
PORT_FORWARD = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PORT_FORWARD}"

_STREAMS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}

OnInput = Callable[[int, bytes | None], object]


class Broken(Exception):
    """The client does not keep to the protocol; the connection is of no further use."""


class Channels(Protocol):
    """What a client's end looks like to a command's streams."""

    def feed(self, data: bytes) -> None:
        """Take in what the client sent; calls on_input(channel, data), None for its end.

        Raises Broken.
        """

    def send(self, channel: int, data: bytes) -> None: ...
    def close(self) -> None:
        """Say goodbye, after all that was sent."""


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324


class WebSocket:
    """Messages over a connection that has been upgraded. Raises Broken."""

    def __init__(self, send: Callable[[bytes], object], on_message: Callable[[bytes], object]):
        self._out, self._on_message = send, on_message
        self._connection = Connection(ConnectionType.SERVER)
        self._message = bytearray()
        self.closed = False

    def feed(self, data: bytes) -> None:
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._event(event)
        except RemoteProtocolError as wrong:
            raise Broken(str(wrong)) from wrong

    def send(self, data: bytes, *, text: bool = False) -> None:
        if not self.closed:
            event = TextMessage(data.decode()) if text else BytesMessage(data)
            self._out(self._connection.send(event))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._out(self._connection.send(CloseConnection(code=1000)))

    def _event(self, event: Event) -> None:
        match event:
            case BytesMessage() | TextMessage():
                data = event.data
                self._message += data.encode() if isinstance(data, str) else data
                if len(self._message) > _LONGEST_MESSAGE:
                    raise Broken("a message is too long")
                if event.message_finished:
                    message, self._message = bytes(self._message), bytearray()
                    self._on_message(message)
            case Ping():
                self._out(self._connection.send(event.response()))
            case CloseConnection():
                try:
                    if not self.closed:
                        self._out(self._connection.send(event.response()))
                except LocalProtocolError:
                    pass
                self.closed = True


class WebSocketChannels:
    """Channels as the first byte of WebSocket messages."""

    def __init__(self, protocol: str, send: Callable[[bytes], object], on_input: OnInput) -> None:
        self._base64 = ".base64." in protocol
        self._on_input = on_input
        self._socket = WebSocket(send, self._message)

    def feed(self, data: bytes) -> None:
        self._socket.feed(data)
        if self._socket.closed:
            self._on_input(STDIN, None)

    def send(self, channel: int, data: bytes) -> None:
        if self._base64:
            self._socket.send(str(channel).encode() + base64.b64encode(data), text=True)
        else:
            self._socket.send(bytes([channel]) + data)

    def close(self) -> None:
        self._socket.close()

    def _message(self, message: bytes) -> None:
        if not message:
            return
        if self._base64:
            try:
                channel, data = int(message[:1]), base64.b64decode(message[1:], validate=True)
            except ValueError as wrong:
                raise Broken("a message is not base64") from wrong
        else:
            channel, data = message[0], message[1:]
        if channel == _CLOSE:
            self._on_input(data[0] if data else STDIN, None)
        elif data:
            self._on_input(channel, data)


class SpdyChannels:
    """A SPDY stream for each channel; `ready` is called when `expected` of them are open."""

    def __init__(
        self,
        send: Callable[[bytes], object],
        on_input: OnInput,
        *,
        expected: int,
        ready: Callable[[], object],
    ) -> None:
        self._streams: dict[int, spdy.Stream] = {}
        self._on_input, self._expected, self._ready = on_input, expected, ready
        self._session = spdy.Session(send, self._opened)

    def feed(self, data: bytes) -> None:
        try:
            self._session.feed(data)
        except spdy.ProtocolError as wrong:
            raise Broken(str(wrong)) from wrong

    def send(self, channel: int, data: bytes) -> None:
        if stream := self._streams.get(channel):
            stream.write(data)

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()

    def _opened(self, stream: spdy.Stream) -> None:
        channel = _STREAMS.get(stream.headers.get("streamtype", ""))
        if channel is None or channel in self._streams:
            self._session.reset(stream)
            return
        self._streams[channel] = stream
        if len(self._streams) == self._expected:
            self._ready()
            for number in (STDIN, RESIZE):
                if opened := self._streams.get(number):
                    self._listen(number, opened)

    def _listen(self, channel: int, stream: spdy.Stream) -> None:
        stream.listen(
            lambda data: self._on_input(channel, data), lambda: self._on_input(channel, None)
        )


def choose(offered: str | list[str], known: tuple[str, ...]) -> str:
    """The first of `known` that a client offers, in one header line or in several; "" if none."""
    lines = [offered] if isinstance(offered, str) else offered
    names = {name.strip() for line in lines for name in line.split(",")}
    return next((name for name in known if name in names), "")


def upgrade(headers: Mapping[str, str]) -> str:
    """What a request wants to become: "websocket", "spdy/3.1" or ""."""
    return (headers.get("Upgrade") or "").lower()
