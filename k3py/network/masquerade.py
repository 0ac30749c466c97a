"""Leaving the cluster: pods borrow their node's address; among themselves they keep theirs.

What a rule in a table of our own cannot do: let through what another table's forward chain
drops. In nftables a packet passes only when every chain at a hook lets it, so where Docker,
ufw or firewalld set the forward policy to drop, pods reach nothing outside their node until
that firewall itself accepts their range. `obstacles` finds such chains and says so.
"""

import json

from k3py.base import commands
from k3py.network import nft
from k3py.network.marks import MASQUERADE_TABLE, NAT_LEAVING


def ruleset(node_range: str, cluster_range: str) -> str:
    """The whole table for a node whose pods have `node_range` out of `cluster_range`.

    NAT onto the address a packet already has ends the search for NAT: no rule of another
    program, such as netavark's or Docker's, masquerades what goes from pod to pod.
    """
    table = nft.Table(MASQUERADE_TABLE)
    table.chain(
        "postrouting",
        f"ip saddr {cluster_range} ip daddr {cluster_range} snat to ip saddr",
        f"ip saddr {node_range} ip daddr != 224.0.0.0/4 masquerade fully-random",
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
