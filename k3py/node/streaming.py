"""exec, attach and port-forward: a client's channels on one side, a container on the other."""

import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from k3py.api.objects import Object
from k3py.base import spdy
from k3py.base.log import Log
from k3py.node import channels, dialing
from k3py.node.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT
from k3py.node.relay import End, Relay
from k3py.node.runtime.runtime import Runtime, RuntimeFailed, Session

IDLE_SECONDS = 4 * 3600  # what the kubelet allows a silent connection
log = Log("k3py.node.streaming")


@dataclass(frozen=True)
class Wanted:
    """The streams a client asks for, and of what. `command` is empty for attach."""

    container_id: str
    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @property
    def streams(self) -> int:
        """How many SPDY streams the client opens: these, the errors, and a terminal's size."""
        return 1 + self.stdin + self.stdout + (self.stderr and not self.tty) + self.tty


class Command:
    """One exec or attach, from the upgraded connection to the exit code."""

    def __init__(self, runtime: Runtime, wanted: Wanted) -> None:
        self._runtime, self._wanted = runtime, wanted
        self._relay = Relay()
        self._client: End | None = None
        self._channels: channels.Channels
        self._process: End | None = None
        self._session: Session | None = None
        self._frames = bytearray()

    def run(self, sock: socket.socket, first: bytes, protocol: str, *, websocket: bool) -> None:
        """Carry the streams until the command ends or the client goes. `first`: bytes of the
        client's that came with its request.
        """
        client = self._relay.add(sock, self._from_client, self._client_gone)
        self._client = client
        if websocket:
            self._channels = channels.WebSocketChannels(protocol, client.send, self._input)
            self._start()
        else:
            self._channels = channels.SpdyChannels(
                client.send, self._input, expected=self._wanted.streams, ready=self._start
            )
        if first:
            self._from_client(first)
        self._relay.run(idle_seconds=IDLE_SECONDS)
        if self._session:
            self._session.close()

    def _start(self) -> None:
        wanted = self._wanted
        streams = {"stdin": wanted.stdin, "stdout": wanted.stdout, "stderr": wanted.stderr}
        try:
            if wanted.command:
                self._session = self._runtime.execute(
                    wanted.container_id, list(wanted.command), tty=wanted.tty, **streams
                )
            else:
                self._session = self._runtime.attach(wanted.container_id, **streams)
        except RuntimeFailed as failed:
            self._finish(_failure(str(failed)))
            return
        self._process = self._relay.add(self._session.stream, self._output, self._ended)
        if self._session.first:
            self._output(self._session.first)

    def _from_client(self, data: bytes) -> None:
        try:
            self._channels.feed(data)
        except channels.Broken as wrong:
            log.debug("client broke the protocol", why=wrong)
            self._client_gone()

    def _client_gone(self) -> None:
        if self._process:
            self._process.close()
        self._relay.stop()

    def _input(self, channel: int, data: bytes | None) -> None:
        if channel == STDIN and self._process and self._wanted.stdin:
            if data is not None:
                self._process.send(data)
            elif self._wanted.tty:
                self._process.send(b"\x04")  # a terminal's end of file
            else:
                self._process.finish()
        elif channel == RESIZE and data and self._session:
            self._resize(data)

    def _resize(self, data: bytes) -> None:
        try:
            size = json.loads(data)
            width, height = int(size["Width"]), int(size["Height"])
            if self._session and 0 < width < 65536 and 0 < height < 65536:
                self._session.resize(width=width, height=height)
        except (ValueError, KeyError, TypeError, RuntimeFailed) as wrong:
            log.debug("terminal not resized", why=wrong)

    def _output(self, data: bytes) -> None:
        if self._wanted.tty:
            self._channels.send(STDOUT, data)
            return
        self._frames += data
        while len(self._frames) >= 8:
            channel, length = struct.unpack_from(">B3xI", self._frames)
            if len(self._frames) < 8 + length:
                return
            payload = bytes(self._frames[8 : 8 + length])
            del self._frames[: 8 + length]
            self._channels.send(STDERR if channel == STDERR else STDOUT, payload)

    def _ended(self) -> None:
        """The process has closed its streams; say how it ended."""
        if self._session and self._wanted.command:
            try:
                code = self._session.exit_code()
            except RuntimeFailed as failed:
                self._finish(_failure(str(failed)))
                return
            self._finish(_exit_status(code))
        else:
            self._finish(_exit_status(0))

    def _finish(self, status: Object) -> None:
        self._channels.send(ERROR, json.dumps(status).encode())
        self._channels.close()
        self._relay.stop()


class PortForward:
    """Connections to a pod's ports, each a pair of SPDY streams: data and error."""

    def __init__(self, netns: Path | None) -> None:
        self._netns = netns
        self._relay = Relay()
        self._session: spdy.Session
        self._tunnel: channels.WebSocket | None = None
        self._waiting: dict[str, dict[str, spdy.Stream]] = {}

    def run(self, sock: socket.socket, first: bytes, *, websocket: bool) -> None:
        client = self._relay.add(sock, self._from_client, self._gone)
        if websocket:
            tunnel = channels.WebSocket(client.send, lambda data: self._session.feed(data))
            self._tunnel = tunnel
            self._session = spdy.Session(tunnel.send, self._opened)
        else:
            self._session = spdy.Session(client.send, self._opened)
        if first:
            self._from_client(first)
        self._relay.run(idle_seconds=IDLE_SECONDS)

    def _from_client(self, data: bytes) -> None:
        try:
            if self._tunnel:
                self._tunnel.feed(data)
                if self._tunnel.closed:
                    self._gone()
            else:
                self._session.feed(data)
        except (channels.Broken, spdy.ProtocolError) as wrong:
            log.debug("client broke the protocol", why=wrong)
            self._gone()

    def _gone(self) -> None:
        self._session.end()
        self._relay.stop()

    def _opened(self, stream: spdy.Stream) -> None:
        request = stream.headers.get("requestid", "")
        pair = self._waiting.setdefault(request, {})
        pair[stream.headers.get("streamtype", "")] = stream
        if "data" in pair and "error" in pair:
            del self._waiting[request]
            self._forward(pair["data"], pair["error"])

    def _forward(self, data: spdy.Stream, error: spdy.Stream) -> None:
        port = data.headers.get("port", "")
        try:
            if not port.isdigit() or not 0 < int(port) < 65536:
                raise OSError(f"{port!r} is not a port")
            target = dialing.connect(int(port), self._netns)
        except OSError as failed:
            error.write(f"error forwarding port {port} to pod: {failed}".encode())
            error.close()
            data.close()
            return

        def ended() -> None:
            data.close()
            error.close()

        end = self._relay.add(target, data.write, ended)
        data.listen(end.send, end.finish)


def _exit_status(code: int) -> Object:
    """How Kubernetes tells a client that a command ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _failure(why: str) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"error executing command in container: {why}",
        "reason": "InternalError",
        "code": 500,
    }
