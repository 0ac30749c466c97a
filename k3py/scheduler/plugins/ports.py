"""Host ports: one taker each."""

from collections.abc import Sequence

from k3py.kinds.core.pod import HostPort
from k3py.scheduler.framework import NodeInfo, PodInfo

_EVERY = "0.0.0.0"  # noqa: S104 (an address, not something to bind)


class NodePorts:
    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        taken = [port for other in node.pods.values() for port in other.ports]
        if any(_clash(wanted, port) for wanted in pod.ports for port in taken):
            return "node(s) didn't have free ports for the requested pod ports"
        return None


def _clash(one: HostPort, other: HostPort) -> bool:
    same = (one.protocol, one.port) == (other.protocol, other.port)
    return same and (one.ip == other.ip or _EVERY in (one.ip, other.ip))
