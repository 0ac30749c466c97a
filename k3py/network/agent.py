"""A node's network: its loops, put together.

    nodes ────────────────────► overlay    tunnel, peers, pods' addresses, masquerading
    services, endpointslices ─┬► proxy     nftables
                              └► dns       answers
    the kernel ───────────────► overlay, proxy: when somebody else removes what is ours

Nothing is undone when the agent stops: pods go on talking while it is updated, and a new
one finds everything as it was left.
"""

import errno
import select
import struct
from collections.abc import Iterator
from pathlib import Path

from k3py import kinds
from k3py.api.objects import Key, Object
from k3py.base import threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM
from k3py.base.commands import CommandFailed
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.client.informer import Informers
from k3py.network import netlink, nft, pods
from k3py.network.backends import Backends
from k3py.network.dns import server as dns
from k3py.network.dns.server import DnsServer
from k3py.network.dns.upstream import RESOLV_CONF
from k3py.network.loop import Loop
from k3py.network.marks import DNS_LABEL, MASQUERADE_TABLE, PROXY_TABLE, VXLAN_DEVICE
from k3py.network.overlay import overlay
from k3py.network.pods import Pods
from k3py.network.proxy import rules
from k3py.network.proxy.proxier import Proxier

log = Log("k3py.network")

# From linux/netfilter: subsystem nf_tables, message "a table was deleted".
_TABLE_DELETED = 10 << 8 | 2
# How long it takes at most to notice that we are to stop.
_TICK_SECONDS = 1.0


class NetworkAgent:
    """`pods` is ready to be used at once; it makes callers wait until the node has a range."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        node_name: str,
        node_ip: str,
        cluster_cidr: str,
        service_cidr: str,
        dns_ip: str,
        cluster_domain: str,
        interface: str = "",
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        """`interface`: that to the other nodes, where it is not the one with `node_ip`;
        `resolv_conf`: who is asked for names outside the cluster."""
        self.pods = Pods()
        nodes = informers.of(kinds.NODE)
        self._overlay = overlay.Overlay(
            client,
            nodes,
            self.pods,
            node_name=node_name,
            node_ip=node_ip,
            cluster_cidr=cluster_cidr,
            service_cidr=service_cidr,
            interface=interface,
        )
        self.ready = self._overlay.ready
        self._overlay_loop = Loop("overlay", self._overlay.step)
        nodes.subscribe(self._node_changed)

        self._backends = Backends(informers)
        cluster = rules.Cluster(cluster_cidr, service_cidr, dns_ip)
        self._proxier = Proxier(self._backends, cluster=cluster, node_name=node_name)
        self._proxy_loop = Loop("proxy", self._proxier.step)
        self._dns = DnsServer(
            self._backends,
            address=dns_ip,
            domain=cluster_domain,
            ranges=(service_cidr, cluster_cidr),
            resolv_conf=resolv_conf,
        )
        self._dns_address = dns_ip
        self._backends.subscribe(self._service_changed)

    def run(self, stop: threads.Stop) -> None:
        group = threads.Group("network")
        group.start("overlay", self._overlay_loop.run)
        group.start("proxy", self._run_proxy)
        group.start("dns", self._run_dns)
        try:
            self._watch_kernel(stop, group.stopping)
        finally:
            group.stopping.set()
            self._overlay_loop.wake()
            self._proxy_loop.wake()
            group.stop()
        if group.failure:
            raise group.failure

    def problem(self) -> str:
        """Why pods cannot be connected yet, for the Node's Ready condition; empty: they can."""
        if self.ready.is_set():
            return ""
        why = self._overlay_loop.problem or "the node has no range of pod addresses yet"
        return f"network is not ready: {why}"

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if self._overlay.concerns(old, new):
            self._overlay_loop.wake()

    def _service_changed(self, service: Key) -> None:
        self._dns.changed(service)
        self._proxier.changed(service)
        self._proxy_loop.wake()

    def _run_proxy(self, stop: threads.Stop) -> None:
        """Rules from before the agent was restarted stay until all Services are known."""
        while not stop.is_set():
            if self._backends.wait_synced(_TICK_SECONDS):
                self._proxy_loop.run(stop)

    def _run_dns(self, stop: threads.Stop) -> None:
        backoff: Backoff[str] = Backoff(0.5, 30)
        while not stop.is_set():
            try:
                self._dns.run(stop)
            except (OSError, CommandFailed) as failure:
                why = _taken(self._dns_address) if _is_taken(failure) else failure
                log.warning("cannot answer DNS, will try again", why=why)
                SYSTEM.wait(stop, backoff.next("dns"))

    def _watch_kernel(self, *stops: threads.Stop) -> None:
        """Notice when our device or tables are taken away, until one of `stops` is set."""
        links, tables = netlink.Events(netlink.LINKS), netlink.Events(netlink.FIREWALL)
        try:
            while not any(stop.is_set() for stop in stops):
                ready, _, _ = select.select([links, tables], [], [], _TICK_SECONDS)
                if links in ready:
                    self._look_at_links(links.read())
                if tables in ready and _may_delete_table(tables.read()):
                    self._restore_tables()
        finally:
            links.close()
            tables.close()

    def _look_at_links(self, announcement: bytes) -> None:
        if _mentions(announcement, VXLAN_DEVICE):
            self._overlay_loop.wake()
        if _mentions(announcement, DNS_LABEL):
            try:
                dns.ensure_address(self._dns_address)
            except CommandFailed as failure:
                log.warning("cannot restore the DNS address", why=failure)

    def _restore_tables(self) -> None:
        """Also our own scripts delete tables, to make them anew: only what is absent counts."""
        if self._overlay.ready.is_set() and not nft.exists(MASQUERADE_TABLE):
            log.warning("a table of ours was deleted", table=MASQUERADE_TABLE)
            self._overlay.table_lost()
            self._overlay_loop.wake()
        if self._proxier.is_applied and not nft.exists(PROXY_TABLE):
            log.warning("a table of ours was deleted", table=PROXY_TABLE)
            self._proxier.table_lost()
            self._proxy_loop.wake()


def remove_all() -> None:
    """Remove all that this package has made on this machine."""
    for name in pods.links():
        netlink.remove_link(name)
    overlay.remove()
    nft.remove(PROXY_TABLE)
    dns.remove_address()


def _is_taken(failure: Exception) -> bool:
    return isinstance(failure, OSError) and failure.errno == errno.EADDRINUSE


def _taken(address: str) -> str:
    return (
        f"another program has port 53 of all addresses, {address} among them: "
        "let it listen on addresses of its own (dnsmasq: bind-dynamic)"
    )


def _mentions(announcement: bytes, name: str) -> bool:
    return not announcement or name.encode() + b"\0" in announcement


def _may_delete_table(announcement: bytes) -> bool:
    return not announcement or _TABLE_DELETED in _message_types(announcement)


def _message_types(announcement: bytes) -> Iterator[int]:
    """The types of all netlink messages in a datagram."""
    while len(announcement) >= 16:
        length, kind = struct.unpack_from("=IH", announcement)
        yield kind
        announcement = announcement[max(16, length + 3 & ~3) :]
