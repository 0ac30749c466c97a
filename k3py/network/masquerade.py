"""Leaving the cluster: pods borrow their node's address; among themselves they keep theirs.

What a rule in a table of our own cannot do: let through what another table's forward chain
drops. In nftables a packet passes only when every chain at a hook lets it, so where Docker,
ufw or firewalld set the forward policy to drop, pods reach nothing outside their node until
that firewall itself accepts their range. `obstacles` finds such chains and says so.
"""

import json

from k3py.base import commands
from k3py.network import nft
from k3py.network.ipam import NodeRange
from k3py.network.marks import MASQUERADE_TABLE, NAT_LEAVING


def ruleset(own: NodeRange, cluster_range: str) -> str:
    """The whole table for a node whose pods are in `own`, a part of `cluster_range`.

    A pod that reaches itself through a Service would drop an answer from its own address:
    it sees the node instead. NAT onto the address a packet already has ends the search for
    NAT: no rule of another program masquerades what goes from one pod to another.
    """
    table = nft.Table(MASQUERADE_TABLE)
    itself = {f"{pod} . {pod}": "" for pod in own.pods}
    table.set("itself", "type ipv4_addr . ipv4_addr;", itself)
    table.chain(
        "postrouting",
        "ct status dnat ip saddr . ip daddr @itself masquerade fully-random",
        f"ip saddr {cluster_range} ip daddr {cluster_range} snat to ip saddr",
        f"ip saddr {own.cidr} ip daddr != 224.0.0.0/4 masquerade fully-random",
        hook=f"nat hook postrouting priority {NAT_LEAVING}",
    )
    return table.script()


def obstacles() -> list[str]:
    """The chains of other programs that drop what they do not know, each in a phrase."""
    listed = json.loads(commands.run("nft", "-j", "list", "chains"))["nftables"]
    chains = (row["chain"] for row in listed if "chain" in row)
    return [
        f"chain {chain['name']} of table {chain['family']} {chain['table']}"
        for chain in chains
        if chain.get("hook") == "forward" and chain.get("policy") == "drop"
    ]
