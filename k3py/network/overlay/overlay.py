"""This node's place among the others: its range, its tunnel, its pods' way out, its peers."""

import threading

from k3py import kinds
from k3py.api import meta
from k3py.api.objects import Key, Object
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.client.informer import Informer
from k3py.network import masquerade, netlink, nft
from k3py.network.ipam import NodeRange
from k3py.network.marks import MASQUERADE_TABLE
from k3py.network.overlay import peers, vxlan
from k3py.network.pods import Pods

log = Log("k3py.network")


class Overlay:
    """Brings the kernel in line with Node objects, one `step` at a time.

    `ready` is set once pods can be attached and reach each other.
    """

    def __init__(
        self,
        client: Client,
        nodes: Informer,
        pods: Pods,
        *,
        node_name: str,
        node_ip: str,
        cluster_cidr: str,
        service_cidr: str,
        interface: str = "",
    ) -> None:
        self._client, self._nodes, self._pods = client, nodes, pods
        self._node_name, self._node_ip = node_name, node_ip
        self._cluster_cidr, self._service_cidr = cluster_cidr, service_cidr
        self._interface = interface
        self._opened = ""
        self._masquerade = ""
        self._lost = threading.Event()
        self.ready = threading.Event()

    def step(self) -> None:
        node = self._nodes.cache.get(Key("", self._node_name))
        range_ = peers.pod_range(node) if node else ""
        if not node or not range_:
            return  # a change of the Node will bring us back
        tunnel = self._tunnel(range_)
        netlink.set_sysctl("net/ipv4/ip_forward", "1")
        vxlan.ensure(tunnel)
        self._let_pods_leave(NodeRange(range_))
        if self._opened != range_:
            self._pods.open(NodeRange(range_), tunnel.mtu)
            self._opened = range_
        vxlan.sync(peers.peers(self._nodes.cache.list(), but=self._node_name), self._service_cidr)
        if not self.ready.is_set():
            log.info("network is ready", range=range_, interface=tunnel.parent, mtu=tunnel.mtu)
            self.ready.set()
        self._publish(node, tunnel.mac)

    def concerns(self, old: Object | None, new: Object | None) -> bool:
        """Whether a change of a Node is one that matters here; heartbeats are not."""
        return _facts(old) != _facts(new)

    def table_lost(self) -> None:
        """Somebody deleted our table: the next step brings it back."""
        self._lost.set()

    def _tunnel(self, range_: str) -> vxlan.Tunnel:
        parent, mtu = vxlan.parent(self._node_ip, self._interface)
        return vxlan.Tunnel(
            node_address=self._node_ip,
            parent=parent,
            mac=peers.mac_address(self._node_name),
            mtu=vxlan.usable_mtu(mtu),
            address=NodeRange(range_).tunnel,
            service_range=self._service_cidr,
        )

    def _let_pods_leave(self, range_: NodeRange) -> None:
        if self._lost.is_set():
            self._lost.clear()
            self._masquerade = ""
        wanted = masquerade.ruleset(range_, self._cluster_cidr)
        if wanted == self._masquerade:
            return
        nft.run(wanted)
        self._masquerade = wanted
        for obstacle in masquerade.obstacles():
            log.warning(
                "another program's firewall may stop the traffic of pods", drops_by_default=obstacle
            )

    def _publish(self, node: Object, mac: str) -> None:
        """Tell the others how to reach us, where they do not know it already."""
        wanted = peers.annotations(self._node_ip, mac)
        said = meta.annotations(node)
        if any(said.get(name) != value for name, value in wanted.items()):
            self._client.patch(kinds.NODE, meta.key(node), {"metadata": {"annotations": wanted}})


def remove() -> None:
    """Delete all that this module and its parts have made."""
    vxlan.remove()
    nft.remove(MASQUERADE_TABLE)


def _facts(node: Object | None) -> object:
    if node is None:
        return None
    said = meta.annotations(node)
    return peers.pod_range(node), {k: v for k, v in said.items() if k.startswith("flannel.")}
