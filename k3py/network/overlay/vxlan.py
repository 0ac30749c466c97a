"""The tunnel to other nodes' pods: a VXLAN device, and three entries for each peer.

    route      10.42.2.0/24 via 10.42.2.0 dev flannel.1 onlink    which packets
    neighbour  10.42.2.0 is 02:…                                  to which end of the tunnel
    fdb        02:… is at 192.168.1.12                            on which node

Nothing is learned from packets: what the device knows is what Node objects say.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from k3py.base.log import Log
from k3py.network import netlink
from k3py.network.marks import OWNER, VXLAN_DEVICE, VXLAN_ID, VXLAN_OVERHEAD, VXLAN_PORT
from k3py.network.netlink import Row
from k3py.network.overlay.peers import Peer

log = Log("k3py.network")

_DEV = f"dev {VXLAN_DEVICE}"


@dataclass(frozen=True)
class Tunnel:
    """This node's end, as it should be."""

    node_address: str
    parent: str  # the interface with that address
    mac: str
    mtu: int
    address: str
    service_range: str


@dataclass(frozen=True)
class Entries:
    """What the device knows of peers."""

    routes: dict[str, str] = field(default_factory=dict)  # range → tunnel address
    neighbours: dict[str, str] = field(default_factory=dict)  # tunnel address → MAC
    forwarding: dict[str, str] = field(default_factory=dict)  # MAC → node address


def parent(node_address: str, interface: str = "") -> tuple[str, int]:
    """The interface that has `node_address` (or is called `interface`), and its MTU.

    Raises LookupError.
    """
    for row in netlink.read("-4", "addr", "show"):
        local = [info["local"] for info in row.get("addr_info", ())]
        if row["ifname"] == interface or (not interface and node_address in local):
            return row["ifname"], row["mtu"]
    raise LookupError(
        f"no interface is called {interface}"
        if interface
        else f"no interface has the node's address {node_address}"
    )


def ensure(tunnel: Tunnel) -> None:
    """Make the device what it should be; again only when it must be."""
    link = netlink.link(VXLAN_DEVICE)
    if link and (why := incompatibility(link, tunnel)):
        log.info("making the tunnel device again", device=VXLAN_DEVICE, why=why)
        netlink.remove_link(VXLAN_DEVICE)
        link = None
    if not link:
        netlink.change(
            f"link add {VXLAN_DEVICE} address {tunnel.mac} mtu {tunnel.mtu} type vxlan"
            f" id {VXLAN_ID} dev {tunnel.parent} local {tunnel.node_address}"
            f" dstport {VXLAN_PORT} nolearning"
        )
    elif link["linkinfo"]["info_data"].get("local") != tunnel.node_address:
        log.info("the node's address changed", address=tunnel.node_address)
        netlink.change(f"link set {VXLAN_DEVICE} type vxlan local {tunnel.node_address}")
    # Packets between a node's own programs and pods may take different ways there and back.
    netlink.set_sysctl(f"net/ipv4/conf/{VXLAN_DEVICE}/rp_filter", "2")
    _configure(tunnel)


def incompatibility(link: Row, tunnel: Tunnel) -> str | None:
    """Why a device cannot become the one that is wanted; None when it can."""
    info = link.get("linkinfo", {})
    data = info.get("info_data", {})
    wanted = {
        "kind": (info.get("info_kind"), "vxlan"),
        "id": (data.get("id"), VXLAN_ID),
        "port": (data.get("port"), VXLAN_PORT),
        "learning": (bool(data.get("learning")), False),
        "parent": (data.get("link"), tunnel.parent),
        "address": (link.get("address"), tunnel.mac),
    }
    for what, (found, right) in wanted.items():
        if found != right:
            return f"its {what} is {found}, not {right}"
    return None


def configuration(shown: Row, routes: list[Row], tunnel: Tunnel) -> list[str]:
    """The lines that give a device the state and addresses it does not have yet.

    None for a device that has them: the kernel announces every change, even to the same,
    and announcements are what we are woken by.

    The route lets the node's own programs call Services. Without it a machine without a
    default route could not begin to: the kernel looks for a way before the proxy has put
    a pod's address in.
    """
    found = [i["local"] for i in shown.get("addr_info", ()) if i["family"] == "inet"]
    lines = [f"addr del {old}/32 {_DEV}" for old in found if old != tunnel.address]
    if shown.get("mtu") != tunnel.mtu or shown.get("ifalias") != OWNER:
        lines.append(f"link set {VXLAN_DEVICE} mtu {tunnel.mtu} alias {OWNER}")
    if tunnel.address not in found:
        lines.append(f"addr add {tunnel.address}/32 {_DEV}")
    if "UP" not in shown.get("flags", ()):
        lines.append(f"link set {VXLAN_DEVICE} up")
    if lines or [route.get("prefsrc") for route in routes] != [tunnel.address]:
        lines.append(f"route replace {tunnel.service_range} {_DEV} src {tunnel.address}")
    return lines


def sync(peers: Iterable[Peer], service_range: str) -> None:
    """Make the device know exactly `peers`."""
    wanted = entries(peers)
    found = _found(but=service_range)
    if found == wanted:
        return
    for range_ in sorted(wanted.routes.keys() - found.routes.keys()):
        log.info("peer added", range=range_)
    for range_ in sorted(found.routes.keys() - wanted.routes.keys()):
        log.info("peer removed", range=range_)
    # Routes go first and come last: nothing is sent to an end of the tunnel nobody knows.
    netlink.change(*stale(found, wanted), force=True)
    netlink.change(*stale_forwarding(found, wanted), tool="bridge", force=True)
    netlink.change(*missing_forwarding(found, wanted), tool="bridge")
    netlink.change(*missing(found, wanted))


def entries(peers: Iterable[Peer]) -> Entries:
    """What the device must know, so that packets find their way to `peers`."""
    wanted = Entries()
    for peer in sorted(peers):
        wanted.routes[peer.range] = peer.tunnel
        wanted.neighbours[peer.tunnel] = peer.mac
        wanted.forwarding[peer.mac] = peer.address
    return wanted


def stale(found: Entries, wanted: Entries) -> list[str]:
    """The lines for ip that remove what belongs to no peer."""
    routes = [f"route del {net} {_DEV}" for net in found.routes if net not in wanted.routes]
    gone = [ip for ip in found.neighbours if ip not in wanted.neighbours]
    return routes + [f"neigh del {ip} {_DEV}" for ip in gone]


def missing(found: Entries, wanted: Entries) -> list[str]:
    """The lines for ip that add or correct what peers need."""
    neighbours = [
        f"neigh replace {ip} lladdr {mac} {_DEV} nud permanent"
        for ip, mac in wanted.neighbours.items()
        if found.neighbours.get(ip) != mac
    ]
    return neighbours + [
        f"route replace {net} via {ip} {_DEV} onlink"
        for net, ip in wanted.routes.items()
        if found.routes.get(net) != ip
    ]


def stale_forwarding(found: Entries, wanted: Entries) -> list[str]:
    """The same for bridge, which keeps the forwarding table."""
    gone = {mac: ip for mac, ip in found.forwarding.items() if wanted.forwarding.get(mac) != ip}
    return [f"fdb del {mac} {_DEV} dst {ip} self" for mac, ip in gone.items()]


def missing_forwarding(found: Entries, wanted: Entries) -> list[str]:
    come = {mac: ip for mac, ip in wanted.forwarding.items() if found.forwarding.get(mac) != ip}
    return [f"fdb replace {mac} {_DEV} dst {ip} self permanent" for mac, ip in come.items()]


def remove() -> None:
    """Delete the device, if it is there and ours."""
    link = netlink.link(VXLAN_DEVICE)
    if link and link.get("ifalias") == OWNER:
        netlink.remove_link(VXLAN_DEVICE)


def usable_mtu(parent_mtu: int) -> int:
    return parent_mtu - VXLAN_OVERHEAD


def _configure(tunnel: Tunnel) -> None:
    device = ("dev", VXLAN_DEVICE)
    shown = netlink.read("-d", "addr", "show", *device)[0]
    routes = netlink.read("route", "show", tunnel.service_range, *device)
    netlink.change(*configuration(shown, routes, tunnel))


def _found(*, but: str) -> Entries:
    dev = ("dev", VXLAN_DEVICE)
    routes = netlink.read("route", "show", *dev)
    neighbours = netlink.read("-4", "neigh", "show", "nud", "permanent", *dev)
    forwarding = netlink.read("fdb", "show", *dev, tool="bridge")
    return Entries(
        {r["dst"]: r.get("gateway", "") for r in routes if r["dst"] != but},
        {n["dst"]: n.get("lladdr", "") for n in neighbours},
        {f["mac"]: f["dst"] for f in forwarding if "dst" in f},
    )
