"""DNS for this node's pods, on the cluster's DNS address, which every node has for itself.

One thread answers UDP and waits for other resolvers; each TCP connection, which is rare,
has a short-lived one of its own. What a packet contains can end neither.
"""

import contextlib
import selectors
import socket
import struct
import threading
from pathlib import Path

from k3py.api.objects import Key
from k3py.base import threads
from k3py.base.log import Log
from k3py.network import netlink
from k3py.network.backends import Backends
from k3py.network.dns import wire
from k3py.network.dns.answers import Answers, Forward
from k3py.network.dns.records import Zone
from k3py.network.dns.upstream import (
    RESOLV_CONF,
    Resolvers,
    Upstream,
    ask_over_tcp,
    receive_message,
)
from k3py.network.marks import DNS_LABEL

log = Log("k3py.network")

_TICK_SECONDS = 1.0
_TCP_AT_ONCE = 32
_TCP_SECONDS = 10
_TCP_QUERIES = 100
_BURST = 64


class DnsServer:
    """`changed` may be called by any thread; `run` is for one."""

    def __init__(
        self,
        backends: Backends,
        *,
        address: str,
        domain: str,
        ranges: tuple[str, ...],
        port: int = 53,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._backends = backends
        self._address, self._port = address, port
        self._resolvers = Resolvers(address, resolv_conf)
        self._lock = threading.Lock()  # of all that follows
        self._dirty: set[Key] = set()
        self._zone = Zone(domain, ranges)
        self._answers = Answers(self._zone)
        self._tcp_slots = threading.BoundedSemaphore(_TCP_AT_ONCE)

    def changed(self, service: Key) -> None:
        """Noted now, looked at when the next question comes."""
        with self._lock:
            self._dirty.add(service)

    def run(self, stop: threads.Stop) -> None:
        """Raises OSError when the address cannot be had."""
        ensure_address(self._address)
        with (
            selectors.DefaultSelector() as selector,
            self._open(socket.SOCK_DGRAM) as udp,
            self._open(socket.SOCK_STREAM) as tcp,
        ):
            upstream = Upstream(self._resolvers, selector)
            tcp.listen(64)
            selector.register(udp, selectors.EVENT_READ)
            selector.register(tcp, selectors.EVENT_READ)
            log.info("answering DNS", address=self._address)
            while not stop.is_set():
                next_expiry = upstream.expire()
                wait = _TICK_SECONDS if next_expiry is None else min(_TICK_SECONDS, next_expiry)
                for key, _ in selector.select(max(0.0, wait)):
                    if key.fileobj is udp:
                        self._receive(udp, upstream)
                    elif key.fileobj is tcp:
                        self._accept(tcp)
                    else:
                        upstream.receive(key.data)
            upstream.close()

    def answer(self, packet: bytes, *, udp: bool) -> bytes | Forward | None:
        with self._lock:
            self._take_in_changes()
            return self._answers.reply(packet, udp=udp)

    def _take_in_changes(self) -> None:
        if not self._answers.is_synced:
            self._answers.is_synced = self._backends.wait_synced(0)
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            try:
                self._zone.put(key, self._backends.get(key))
            except (AttributeError, KeyError, TypeError, ValueError):
                log.exception("service makes no sense and has no name", service=key)
        self._answers.forget()

    def _receive(self, udp: socket.socket, upstream: Upstream) -> None:
        for _ in range(_BURST):
            try:
                packet, client = udp.recvfrom(4096)
            except OSError:  # nothing more for now
                return
            reply = self._safely(packet, udp=True)
            if isinstance(reply, Forward):
                self._forward(udp, upstream, reply, client)
            elif reply:
                _send(udp, reply, client)

    def _forward(
        self, udp: socket.socket, upstream: Upstream, forward: Forward, client: object
    ) -> None:
        def done(answer: bytes | None) -> None:
            _send(udp, forward.complete(answer), client)

        upstream.ask(forward.query, done)

    def _safely(self, packet: bytes, *, udp: bool) -> bytes | Forward | None:
        """Whatever a packet does to us, the next one gets its answer."""
        try:
            return self.answer(packet, udp=udp)
        except Exception:
            log.exception("cannot answer a DNS query", packet=packet[:64].hex())
            return wire.refusal(packet, wire.SERVER_FAILURE)

    def _accept(self, tcp: socket.socket) -> None:
        try:
            connection, _ = tcp.accept()
        except OSError:
            return
        if not self._tcp_slots.acquire(blocking=False):
            connection.close()
            return

        def serve() -> None:
            try:
                with connection, contextlib.suppress(OSError):
                    self._serve(connection)
            finally:
                self._tcp_slots.release()

        threads.spawn("network/dns-tcp", serve)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_TCP_SECONDS)
        for _ in range(_TCP_QUERIES):
            packet = receive_message(connection)
            reply = self._safely(packet, udp=False) if packet else None
            if isinstance(reply, Forward):
                answer = ask_over_tcp(reply.query, self._resolvers.addresses())
                reply = reply.complete(answer)
            if not reply:
                return
            connection.sendall(struct.pack("!H", len(reply)) + reply)

    def _open(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setblocking(False)
            made.bind((self._address, self._port))
        except OSError:
            made.close()
            raise
        return made


def ensure_address(address: str) -> None:
    """Give the machine the cluster's DNS address, for itself and its pods only.

    Of scope host: the kernel never chooses it as the source of something else.
    """
    rows = netlink.read("-4", "addr", "show", "dev", "lo")
    found = [
        info["local"]
        for row in rows
        for info in row.get("addr_info", ())
        if info.get("label") == DNS_LABEL
    ]
    if found != [address]:
        netlink.change(
            *(f"addr del {old}/32 dev lo" for old in found),
            f"addr replace {address}/32 dev lo scope host label {DNS_LABEL}",
            "link set lo up",
        )


def remove_address() -> None:
    netlink.change(f"addr flush dev lo label {DNS_LABEL}", force=True)


def _send(udp: socket.socket, reply: bytes, client: object) -> None:
    with contextlib.suppress(OSError):  # the client is gone, or its link is full
        udp.sendto(reply, client)  # type: ignore[call-overload]
