"""Each node's share of the cluster's addresses, from which its pods get theirs.

A share is in use as long as its Node exists; what is free is computed, never stored.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from k3py.api import meta
from k3py.api.objects import Key, Object
from k3py.base import addresses
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import NORMAL, Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Controller, NotYet
from k3py.kinds import NODE
from k3py.kinds.core import node as nodes


class NodeCidrController(Controller):
    """One worker: two could give the same range away."""

    kind = NODE
    component = "cidrAllocator"
    workers = 1

    def __init__(
        self,
        client: CachedClient,
        informers: Informers,
        recorder: Recorder,
        clock: Clock,
        *,
        cluster_cidr: str,
        node_mask: int = 24,
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._cluster, self._mask = IPv4Network(cluster_cidr), node_mask
        self._nodes = informers.of(NODE).cache
        self._given: dict[str, str] = {}  # by uid: what the cache may not show yet

    def reconcile(self, key: Key) -> None:
        node = self.find(key)
        if node is None or nodes.pod_cidr(node) or meta.is_deleting(node):
            return
        share = next(self._free(besides=meta.uid(node)), None)
        if share is None:
            text = f"Node {key.name} status is now: CIDRNotAvailable"
            self.recorder.event(NODE, node, NORMAL, "CIDRNotAvailable", text)
            raise NotYet
        version = {"uid": meta.uid(node), "resourceVersion": node["metadata"]["resourceVersion"]}
        self._given[meta.uid(node)] = share
        change = {"metadata": version, "spec": {"podCIDR": share, "podCIDRs": [share]}}
        self.client.patch(NODE, key, change)
        self.log.info("addresses given to node", node=key.name, cidr=share)

    def _free(self, *, besides: str) -> Iterator[str]:
        """The ranges no node but `besides` (a uid) has, lowest first."""
        taken = [network for share in self._taken(besides) if (network := addresses.network(share))]
        for share in self._cluster.subnets(new_prefix=self._mask):
            if not any(share.overlaps(other) for other in taken):
                yield str(share)

    def _taken(self, besides: str) -> set[str]:
        every: list[Object] = self._nodes.list()
        waiting = {meta.uid(node) for node in every if not nodes.pod_cidr(node)}
        self._given = {uid: share for uid, share in self._given.items() if uid in waiting}
        given = {share for uid, share in self._given.items() if uid != besides}
        return given | {share for node in every if (share := nodes.pod_cidr(node))}
