"""Node selectors and node affinity: nodes that a pod asks for, or likes."""

from collections.abc import Mapping, Sequence
from typing import Any

from k3py.scheduler.framework import NodeInfo, PodInfo, term_matches

_REFUSAL = "node(s) didn't match Pod's node affinity/selector"


class NodeAffinity:
    weight = 2

    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        if not pod.node_selector.items() <= node.labels.items():
            return _REFUSAL
        required = pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        if required and not any(
            _term_fits(term, node) for term in required.get("nodeSelectorTerms") or ()
        ):
            return _REFUSAL
        return None

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        preferred = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        total = sum(term["weight"] for term in preferred)
        liked = sum(t["weight"] for t in preferred if _term_fits(t["preference"], node))
        return 100 * liked / total if total else 0


def _term_fits(term: Mapping[str, Any], node: NodeInfo) -> bool:
    """A term without any requirement fits nothing (NodeSelectorTerm's documentation)."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return term_matches(expressions, node.labels) and term_matches(
        fields, {"metadata.name": node.name}
    )
