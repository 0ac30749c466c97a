"""Taints and tolerations: keep pods off nodes that do not want them."""

from collections.abc import Mapping, Sequence
from typing import Any

from k3py.api.wellknown import TAINT_UNSCHEDULABLE
from k3py.kinds.core.taints import tolerates
from k3py.scheduler.framework import NodeInfo, PodInfo

FORBIDDING = ("NoSchedule", "NoExecute")
_CORDONED = {"key": TAINT_UNSCHEDULABLE, "effect": "NoSchedule"}


class NodeUnschedulable:
    """Cordoned nodes take only pods that tolerate just that."""

    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        if node.unschedulable and not _is_tolerated(_CORDONED, pod):
            return "node(s) were unschedulable"
        return None


class TaintToleration:
    weight = 3

    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        for taint in node.taints:
            if taint["effect"] in FORBIDDING and not _is_tolerated(taint, pod):
                return "node(s) had untolerated taint(s)"
        return None

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        discouraging = [t for t in node.taints if t["effect"] == "PreferNoSchedule"]
        unwelcome = sum(not _is_tolerated(taint, pod) for taint in discouraging)
        return 100 / (1 + unwelcome)


def _is_tolerated(taint: Mapping[str, Any], pod: PodInfo) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod.tolerations)
