"""Other nodes as peers, read from Node objects; and what this node tells them about itself.

The annotations are flannel's, so flannel's nodes and ours could share a network. A node
without them, or with values that make no sense, is no peer: it is left out, never half used.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from k3py.api import meta, wellknown
from k3py.api.objects import Object
from k3py.base import addresses
from k3py.network.marks import VXLAN_ID

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Peer(NamedTuple):
    """Where another node's pods are: their range, and the way to it."""

    range: str
    address: str  # of the node
    mac: str  # of its end of the tunnel

    @property
    def tunnel(self) -> str:
        """The address of its end of the tunnel."""
        return self.range.partition("/")[0]


def peers(nodes: Iterable[Object], *, but: str) -> set[Peer]:
    """All peers but the node called `but`. Of two that claim one range the first by name counts."""
    found: dict[str, Peer] = {}
    others = (node for node in nodes if node["metadata"]["name"] != but)
    for node in sorted(others, key=meta.key):
        peer = _peer(node)
        if peer:
            found.setdefault(peer.range, peer)
    return set(found.values())


def annotations(node_address: str, mac: str) -> dict[str, str]:
    """What a node says about itself."""
    data = {"VNI": VXLAN_ID, "VtepMAC": mac}
    return {
        wellknown.FLANNEL_BACKEND_TYPE: "vxlan",
        wellknown.FLANNEL_BACKEND_DATA: json.dumps(data, separators=(",", ":")),
        wellknown.FLANNEL_PUBLIC_IP: node_address,
        wellknown.FLANNEL_SUBNET_MANAGER: "true",
    }


def mac_address(node_name: str) -> str:
    """The MAC of a node's end of the tunnel: always the same, as peers have it in their tables."""
    digest = hashlib.sha256(f"vxlan {node_name}".encode()).digest()
    # Locally administered, not multicast.
    return ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:6]))


def pod_range(node: Object) -> str:
    """The node's range of pod addresses; empty until it has one we can use."""
    network = addresses.network(node.get("spec", {}).get("podCIDR") or "")
    return str(network) if network and network.prefixlen <= 29 else ""


def _peer(node: Object) -> Peer | None:
    said = meta.annotations(node)
    range_, mac = pod_range(node), _mac(said.get(wellknown.FLANNEL_BACKEND_DATA) or "")
    address = addresses.address(said.get(wellknown.FLANNEL_PUBLIC_IP) or "")
    if said.get(wellknown.FLANNEL_BACKEND_TYPE) != "vxlan" or not (range_ and mac and address):
        return None
    return Peer(range_, str(address), mac)


def _mac(backend_data: str) -> str:
    try:
        data = json.loads(backend_data)
    except ValueError:
        return ""
    mac = str(data.get("VtepMAC")).lower() if isinstance(data, dict) else ""
    return mac if _MAC.fullmatch(mac) else ""
