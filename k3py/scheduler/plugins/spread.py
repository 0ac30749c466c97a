"""Topology spread: pods alike, evenly over nodes, zones or whatever a label names.

Rule: Kubernetes, "Pod Topology Spread Constraints". A pod that says nothing is spread softly
over the nodes, counted with the others of its controller.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k3py.api import labels
from k3py.scheduler.framework import NodeInfo, PodInfo
from k3py.scheduler.plugins.node_affinity import NodeAffinity
from k3py.scheduler.plugins.taints import TaintToleration

_REFUSAL = "node(s) didn't match pod topology spread constraints"
_MISSING = f"{_REFUSAL} (missing required label)"
_AFFINITY, _TAINTS = NodeAffinity(), TaintToleration()


class TopologySpread:
    weight = 2

    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        for constraint in pod.spread:
            if constraint["whenUnsatisfiable"] == "DoNotSchedule":
                refusal = _refusal(constraint, pod, node, nodes)
                if refusal:
                    return refusal
        return None

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        soft = [c for c in pod.spread if c["whenUnsatisfiable"] == "ScheduleAnyway"]
        if not soft:
            return 0 if pod.spread else _evenness(_alike_on(pod, node), pod, nodes)
        points = []
        for constraint in soft:
            counts = _counts(constraint, pod, nodes)
            domain = node.labels.get(constraint["topologyKey"])
            most = max(counts.values(), default=0)
            points.append(100 * (1 - counts[domain] / most) if domain in counts and most else 0)
        return sum(points) / len(points)


def _refusal(
    constraint: Mapping[str, Any], pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]
) -> str | None:
    domain = node.labels.get(constraint["topologyKey"])
    if domain is None:
        return _MISSING
    counts = _counts(constraint, pod, nodes)
    enough = len(counts) >= (constraint.get("minDomains") or 1)
    fewest = min(counts.values(), default=0) if enough else 0
    itself = _selector(constraint, pod)(pod)
    skew = counts.get(domain, 0) + itself - fewest
    return _REFUSAL if skew > constraint["maxSkew"] else None


def _counts(
    constraint: Mapping[str, Any], pod: PodInfo, nodes: Sequence[NodeInfo]
) -> dict[str, int]:
    """How many matching pods each domain has, over the nodes that the constraint includes."""
    key, counted = constraint["topologyKey"], _selector(constraint, pod)
    counts: dict[str, int] = {}
    for node in nodes:
        domain = node.labels.get(key)
        if domain is None or not _included(constraint, pod, node, nodes):
            continue
        here = sum(counted(other) for other in node.pods.values())
        counts[domain] = counts.get(domain, 0) + here
    return counts


def _included(
    constraint: Mapping[str, Any], pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]
) -> bool:
    honours_affinity = constraint.get("nodeAffinityPolicy", "Honor") == "Honor"
    if honours_affinity and _AFFINITY.filter(pod, node, nodes):
        return False
    honours_taints = constraint.get("nodeTaintsPolicy", "Ignore") == "Honor"
    return not (honours_taints and _TAINTS.filter(pod, node, nodes))


def _selector(constraint: Mapping[str, Any], pod: PodInfo) -> Callable[[PodInfo], bool]:
    """Which pods a constraint counts: its selector and matchLabelKeys, in the pod's namespace."""
    selector = constraint.get("labelSelector")
    chosen = labels.selector(selector)
    same = {k: pod.labels[k] for k in constraint.get("matchLabelKeys") or () if k in pod.labels}

    def counted(other: PodInfo) -> bool:
        return (
            selector is not None
            and other.key.namespace == pod.key.namespace
            and not other.terminating
            and chosen.matches(other.labels)
            and same.items() <= other.labels.items()
        )

    return counted


def _alike_on(pod: PodInfo, node: NodeInfo) -> int:
    return sum(other.owner == pod.owner and not other.terminating for other in node.pods.values())


def _evenness(here: int, pod: PodInfo, nodes: Sequence[NodeInfo]) -> float:
    if not pod.owner:
        return 0
    most = max(_alike_on(pod, node) for node in nodes)
    return 100 * (1 - here / most) if most else 100
