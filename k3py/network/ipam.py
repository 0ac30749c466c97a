"""Pod addresses out of this node's range. The kernel's own tables are the only record.

    10.42.1.0        the node's end of the tunnel
    10.42.1.1        the node, as its pods see it
    10.42.1.2 …254   pods

An address is taken while a pod's link has a route to it. Such a route dies with the link,
and the link with the pod's namespace, so nothing leaks and nothing is given out twice,
whenever the agent is killed.
"""

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from k3py.base import addresses


class Exhausted(Exception):
    """Every address of the node's range is in use."""


@dataclass(frozen=True)
class NodeRange:
    """The pod addresses of one node."""

    cidr: str

    @cached_property
    def _network(self) -> IPv4Network:
        return IPv4Network(self.cidr)

    @property
    def tunnel(self) -> str:
        return str(self._network[0])

    @property
    def gateway(self) -> str:
        return str(self._network[1])

    @property
    def pods(self) -> list[str]:
        """All addresses that pods may have."""
        return [str(self._network[n]) for n in range(2, self._network.num_addresses - 1)]

    def take(self, used: Container[str], *, after: str = "") -> str:
        """An address that is not in `used`, the next behind `after`. Raises Exhausted."""
        found = addresses.next_free(self._network[2], self._network[-2], used, after=after)
        if found is None:
            raise Exhausted(f"no pod address is left in this node's range {self.cidr}")
        return found
