"""Host ports: one taker each."""

from collections.abc import Sequence

from k3py.scheduler.framework import HostPort, NodeInfo, PodInfo


class NodePorts:
    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        taken = [port for other in node.pods.values() for port in other.ports]
        if any(_clash(wanted, port) for wanted in pod.ports for port in taken):
            return "node(s) didn't have free ports for the requested pod ports"
        return None


def _clash(one: HostPort, other: HostPort) -> bool:
    same = (one.protocol, one.port) == (other.protocol, other.port)
    return same and (one.ip == other.ip or not one.ip or not other.ip)
