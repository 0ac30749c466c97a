"""A pod's interface: a pair of links between its namespace and the node, and a route.

    pod                                node
    eth0 10.42.1.5/32  ─── veth ───  pod3f2a… 10.42.1.1/32     route 10.42.1.5 dev pod3f2a…
    default via 10.42.1.1

There is no bridge: every packet of a pod crosses the node's IP stack, so the rules for
Services see also what goes from a pod to its neighbour or to itself. The node's ends all
have the same address, which is thus what pods see of the node (masqueraded, or probing).

The link's name follows from the pod's uid and its address is the route's, so a restarted
agent finds everything by looking.
"""

import hashlib
import re
import threading
from collections.abc import Set
from pathlib import Path

from k3py.base.commands import CommandFailed
from k3py.base.log import Log
from k3py.network import netlink
from k3py.network.ipam import NodeRange

log = Log("k3py.network")

_LINK = re.compile(r"pod[0-9a-f]{12}")
# A pod may be started before the node has its range: for this many seconds it waits.
_PATIENCE = 10.0


class NotReady(Exception):
    """The node has no range of pod addresses yet."""


class Pods:
    """Attaches pods to the network. Safe to call from several threads, for different pods."""

    def __init__(self) -> None:
        self._range: NodeRange | None = None
        self._mtu = 0
        self._opened = threading.Event()
        self._lock = threading.Lock()  # of the two below
        self._taken: dict[str, str] = {}  # link → address
        self._latest = ""

    def open(self, range_: NodeRange, mtu: int) -> None:
        """From now on pods can be attached; those that already are, are found."""
        with self._lock:
            self._taken = _attached()
            self._latest = max(self._taken.values(), key=_number, default="")
            self._range, self._mtu = range_, mtu
        # What is on for all is on for each link; the other links have it on for themselves.
        netlink.set_sysctl("net/ipv4/conf/all/send_redirects", "0")
        self._opened.set()

    def attach(self, uid: str, netns: Path) -> tuple[str, ...]:
        """Give the pod an interface in `netns`, or see that it has one; its addresses.

        Raises NotReady, ipam.Exhausted, CommandFailed.
        """
        if not self._opened.wait(_PATIENCE):
            raise NotReady("this node has no range of pod addresses yet")
        name = link_name(uid)
        known = self.addresses(uid)
        if known and _is_configured(known[0], netns):
            return known
        address = self._take(name)
        try:
            self._connect(name, address, netns)
        except CommandFailed:
            self._forget(name)
            raise
        return (address,)

    def detach(self, uid: str) -> None:
        """Take the pod's interface and address away, if it has any."""
        self._forget(link_name(uid))

    def addresses(self, uid: str) -> tuple[str, ...]:
        """The pod's addresses; none when it is not attached."""
        with self._lock:
            taken = self._taken.get(link_name(uid))
        return (taken,) if taken else ()

    def retain(self, uids: Set[str]) -> None:
        """Detach every pod but these."""
        wanted = {link_name(uid) for uid in uids}
        for name in set(links()) - wanted:
            log.info("removing the link of a pod that is gone", link=name)
            self._forget(name)
        with self._lock:
            self._taken = {name: kept for name, kept in self._taken.items() if name in wanted}

    def _take(self, name: str) -> str:
        assert self._range
        with self._lock:
            if name not in self._taken:
                used = frozenset(self._taken.values())
                self._latest = self._range.take(used, after=self._latest)
                self._taken[name] = self._latest
            return self._taken[name]

    def _connect(self, name: str, address: str, netns: Path) -> None:
        assert self._range
        gateway = self._range.gateway
        netlink.remove_link(name)
        netlink.change(
            f"link add {name} mtu {self._mtu} type veth"
            f" peer name eth0 mtu {self._mtu} netns {netns}",
            f"addr add {gateway}/32 dev {name}",
            f"link set {name} up",
            f"route replace {address}/32 dev {name} src {gateway}",
        )
        # A pod cannot pretend to be another: what it sends must come from its own address.
        netlink.set_sysctl(f"net/ipv4/conf/{name}/rp_filter", "1")
        # A pod that reaches itself through a Service goes in and out of one link: no detour.
        netlink.set_sysctl(f"net/ipv4/conf/{name}/send_redirects", "0")
        netlink.change(
            "link set lo up",
            f"addr add {address}/32 dev eth0",
            "link set eth0 up",
            f"route replace {gateway}/32 dev eth0",
            f"route replace default via {gateway} dev eth0",
            netns=netns,
        )

    def _forget(self, name: str) -> None:
        """The address is free only once the link is gone."""
        netlink.remove_link(name)
        with self._lock:
            self._taken.pop(name, None)


def link_name(uid: str) -> str:
    """The node's end of a pod's interface: as long as Linux allows, and only this pod's."""
    return "pod" + hashlib.sha256(uid.encode()).hexdigest()[:12]


def links() -> list[str]:
    """The node's ends of all pods' interfaces."""
    names = (row["ifname"] for row in netlink.read("link", "show", "type", "veth"))
    return [name for name in names if _LINK.fullmatch(name)]


def _attached() -> dict[str, str]:
    routes = netlink.read("route", "show")
    return {
        route["dev"]: route["dst"]
        for route in routes
        if _LINK.fullmatch(route.get("dev", "")) and "/" not in route["dst"]
    }


def _is_configured(address: str, netns: Path) -> bool:
    """Whether the pod's side has its address and can use it."""
    try:
        rows = netlink.read("-4", "addr", "show", "dev", "eth0", "up", netns=netns)
        routes = netlink.read("route", "show", "default", netns=netns)
    except CommandFailed:
        return False
    found = [info["local"] for row in rows for info in row.get("addr_info", ())]
    return found == [address] and bool(routes)


def _number(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split("."))
