"""Choosing a node: every filter may refuse, every score may prefer."""

import random
from collections import Counter
from collections.abc import Sequence

from k3py.scheduler.framework import Filter, NodeInfo, PodInfo, Score


class Unschedulable(Exception):
    """No node will do; the message says why, in Kubernetes' words."""

    def __init__(self, reasons: Counter[str], nodes: int) -> None:
        if not nodes:
            super().__init__("no nodes available to schedule pods")
            return
        why = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        super().__init__(f"0/{nodes} nodes are available: {why}.")


def place(
    pod: PodInfo, nodes: Sequence[NodeInfo], filters: Sequence[Filter], scores: Sequence[Score]
) -> NodeInfo:
    """The best node that no filter refuses; one of the best by chance. Raises Unschedulable."""
    refusals: Counter[str] = Counter()
    fitting = []
    for node in nodes:
        refusal = next(filter(None, (f.filter(pod, node, nodes) for f in filters)), None)
        if refusal:
            # "Insufficient cpu; Insufficient memory": one node may be counted for several reasons.
            refusals.update(refusal.split("; "))
        else:
            fitting.append(node)
    if not fitting:
        raise Unschedulable(refusals, len(nodes))
    if len(fitting) == 1:
        return fitting[0]
    points = [sum(s.weight * s.score(pod, node, nodes) for s in scores) for node in fitting]
    best = max(points)
    return random.choice([n for n, p in zip(fitting, points, strict=True) if p == best])  # noqa: S311
