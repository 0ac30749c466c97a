"""Other resolvers, for all names that are not the cluster's, and a short memory of their answers.

They are the machine's own, from /etc/resolv.conf, read again when it changes.
"""

import contextlib
import random
import selectors
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from k3py.base.clock import SYSTEM, Clock
from k3py.network.dns import answers, wire

RESOLV_CONF = Path("/etc/resolv.conf")

# Clients give up after 5 seconds: they shall hear from us before.
_ATTEMPTS = 3
_ATTEMPT_SECONDS = 1.4
# Each question under way has a socket of its own: a forger must guess port and number.
_AT_ONCE = 200
_KEPT = 1000
_KEPT_SECONDS = 30


class _Kept(NamedTuple):
    reply: bytes
    lifetimes: list[int]
    since: float
    until: float


class Memory:
    """Answers, for as long as they say, and never longer than half a minute."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._kept: dict[bytes, _Kept] = {}

    def find(self, packet: bytes, query: wire.Query) -> bytes | None:
        """The answer to a query, with lifetimes that went down since, and the letters asked."""
        found = self._kept.get(_key(packet, query))
        now = self._clock.monotonic()
        if not found or found.until <= now:
            return None
        reply = answers.decremented(found.reply, found.lifetimes, int(now - found.since))
        return packet[:2] + reply[2:12] + query.question + reply[12 + len(query.question) :]

    def keep(self, packet: bytes, query: wire.Query, reply: bytes) -> None:
        if wire.is_truncated(reply) or wire.code(reply) not in (wire.NO_ERROR, wire.NO_SUCH_NAME):
            return
        try:
            places = wire.lifetimes(reply)
        except (wire.Malformed, struct.error):
            return
        if not places:
            return
        now = self._clock.monotonic()
        seconds = min(struct.unpack_from("!I", reply, at)[0] for at in places)
        if seconds:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            until = now + min(seconds, _KEPT_SECONDS)
            self._kept[_key(packet, query)] = _Kept(reply, places, now, until)


class Resolvers:
    """The addresses in resolv.conf, but our own: a question must not come back to us."""

    def __init__(self, own: str, path: Path = RESOLV_CONF) -> None:
        self._own, self._path = own, path
        self._seen: object = None
        self._addresses: list[str] = []

    def addresses(self) -> list[str]:
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._addresses = _nameservers(self._path.read_text(), self._own)
                self._seen = seen
        except OSError:
            self._addresses, self._seen = [], None
        return self._addresses


class _Pending:
    """A question under way to one resolver after another."""

    def __init__(self, packet: bytes, query: wire.Query, servers: list[str], done: "Done") -> None:
        self.packet, self.query, self.done = packet, query, done
        # A lone resolver gets a second chance: packets are lost.
        self.servers = (servers * 2 if len(servers) == 1 else servers)[:_ATTEMPTS]
        self.id = 0
        self.socket: socket.socket | None = None
        self.deadline = 0.0


Done = Callable[[bytes | None], None]


class Upstream:
    """Questions over UDP under way, for the one thread that has the selector."""

    def __init__(
        self, resolvers: Resolvers, selector: selectors.BaseSelector, clock: Clock = SYSTEM
    ) -> None:
        self._resolvers, self._selector, self._clock = resolvers, selector, clock
        self._memory = Memory(clock)
        self._pending: set[_Pending] = set()

    def ask(self, packet: bytes, done: Done) -> None:
        """`done(answer)` is called at once, or from `receive` or `expire`; None: no answer."""
        query = wire.parse_query(packet)
        remembered = self._memory.find(packet, query)
        servers = self._resolvers.addresses()
        if remembered or not servers or len(self._pending) >= _AT_ONCE:
            done(remembered)
            return
        pending = _Pending(packet, query, servers, done)
        self._pending.add(pending)
        self._try_next(pending)

    def receive(self, pending: _Pending) -> None:
        """The socket of a question has something."""
        if not pending.socket:
            return
        try:
            reply = pending.socket.recv(65535)
        except BlockingIOError:
            return
        except OSError:  # refused: nobody listens there
            self._try_next(pending)
            return
        if not wire.answers(reply, pending.query, pending.id):
            return  # somebody else's, or forged: the right one may still come
        if wire.code(reply) in (wire.SERVER_FAILURE, wire.REFUSED) and pending.servers:
            self._try_next(pending)
            return
        reply = wire.with_id(reply, pending.query.id)
        self._memory.keep(pending.packet, pending.query, reply)
        self._finish(pending, reply)

    def expire(self) -> float | None:
        """Give up on resolvers that are silent; in how many seconds the next will be."""
        now = self._clock.monotonic()
        for pending in [p for p in self._pending if p.deadline <= now]:
            self._try_next(pending)
        return min((p.deadline - now for p in self._pending), default=None)

    def close(self) -> None:
        for pending in list(self._pending):
            self._finish(pending, None)

    def _try_next(self, pending: _Pending) -> None:
        self._hang_up(pending)
        while pending.servers:
            server = pending.servers.pop(0)
            pending.id = random.getrandbits(16)
            pending.deadline = self._clock.monotonic() + _ATTEMPT_SECONDS
            made = _connected(server)
            if made is None:
                continue
            pending.socket = made
            self._selector.register(made, selectors.EVENT_READ, pending)
            with contextlib.suppress(OSError):
                made.send(wire.with_id(pending.packet, pending.id))
            return
        self._finish(pending, None)

    def _hang_up(self, pending: _Pending) -> None:
        if pending.socket:
            self._selector.unregister(pending.socket)
            pending.socket.close()
            pending.socket = None

    def _finish(self, pending: _Pending, reply: bytes | None) -> None:
        self._hang_up(pending)
        self._pending.discard(pending)
        pending.done(reply)


def ask_over_tcp(packet: bytes, servers: list[str]) -> bytes | None:
    """The first resolver's answer to a query that came over TCP; None where none answers."""
    for server in servers[:_ATTEMPTS]:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((server, 53), timeout=_ATTEMPT_SECONDS) as connection,
        ):
            connection.sendall(struct.pack("!H", len(packet)) + packet)
            reply = receive_message(connection)
            if reply:
                return reply
    return None


def receive_message(connection: socket.socket) -> bytes | None:
    """One message of a TCP connection; None at its end."""
    head = _receive(connection, 2)
    return _receive(connection, struct.unpack("!H", head)[0]) if head else None


def _receive(connection: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return None
        data += more
    return data


def _connected(server: str) -> socket.socket | None:
    made = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.connect((server, 53))
    except OSError:
        made.close()
        return None
    return made


def _nameservers(text: str, own: str) -> list[str]:
    lines = (line.split() for line in text.splitlines())
    named = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return [address for address in dict.fromkeys(named) if address != own]


def _key(packet: bytes, query: wire.Query) -> bytes:
    """All of a query but its number, whatever the letters of the name."""
    question = 12 + len(query.question)
    return packet[2:12] + query.question.lower() + packet[question:]
