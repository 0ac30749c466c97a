"""Resources: pods go where there is room, and rather where much room is left."""

from collections.abc import Sequence

from k3py.scheduler.framework import PODS, NodeInfo, PodInfo

# What a pod that asks for nothing is taken to need when nodes are compared, as Kubernetes does.
_ASSUMED = {"cpu": 100, "memory": 200 << 20}


class Resources:
    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        short = [
            f"Insufficient {name}"
            for name, wanted in pod.requests.items()
            if wanted and node.used.get(name, 0) + wanted > node.allocatable.get(name, 0)
        ]
        if len(node.pods) + 1 > node.allocatable.get(PODS, 0):
            short.insert(0, "Too many pods")
        return "; ".join(short) or None


class LeastAllocated:
    """The share of cpu and memory that stays free."""

    weight = 1

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        shares = [_free_share(name, pod, node) for name in _ASSUMED]
        return 100 * sum(shares) / len(shares)


class BalancedAllocation:
    """Nodes whose cpu and memory would be used to a like degree."""

    weight = 1

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        cpu, memory = (_free_share(name, pod, node) for name in _ASSUMED)
        return 100 * (1 - abs(cpu - memory) / 2)


def _free_share(name: str, pod: PodInfo, node: NodeInfo) -> float:
    capacity = node.allocatable.get(name, 0)
    if not capacity:
        return 0
    used = sum(_need(name, p) for p in (*node.pods.values(), pod))
    return max(0.0, (capacity - used) / capacity)


def _need(name: str, pod: PodInfo) -> int:
    return pod.requests.get(name) or _ASSUMED[name]
