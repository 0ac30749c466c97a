"""Which taints a node should have for the state that it is in. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from k3py.api import conditions, times, wellknown
from k3py.api.objects import Object, Objects
from k3py.kinds.core import node as nodes

NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"

# A condition, the status in which it taints, and the taint.
_PRESSURES = (
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("Ready", "False", wellknown.TAINT_NOT_READY),
    ("Ready", "Unknown", wellknown.TAINT_UNREACHABLE),
)
_EVICTING = (wellknown.TAINT_NOT_READY, wellknown.TAINT_UNREACHABLE)
_OURS = {taint for _, _, taint in _PRESSURES} | {wellknown.TAINT_UNSCHEDULABLE}

# Where so many nodes fail at once the fault is likelier ours: pods then stay where they are.
_DISRUPTED_SHARE, _DISRUPTED_COUNT = 0.55, 2


def wanted(node: Object, *, evict: bool, now: datetime) -> Objects:
    """Its taints, as they should be. Without `evict` none makes pods leave."""
    old = nodes.taints(node)
    found = [t for t in old if t["key"] not in _OURS]
    for key, effect in _due(node):
        if effect == NO_EXECUTE and not evict:
            continue
        same = next((t for t in old if (t["key"], t["effect"]) == (key, effect)), None)
        stamp = {"timeAdded": times.stamp(now)} if effect == NO_EXECUTE else {}
        found.append(same or {"key": key, "effect": effect} | stamp)
    return found


def is_disrupted(every: Sequence[Object]) -> bool:
    """Whether so many of the nodes are not ready that moving pods would do harm."""
    failed = sum(not nodes.is_ready(node) for node in every)
    if failed == len(every):
        return True
    return failed > _DISRUPTED_COUNT and failed >= _DISRUPTED_SHARE * len(every)


def _due(node: Object) -> Iterable[tuple[str, str]]:
    for condition, status, taint in _PRESSURES:
        found = conditions.find(node, condition)
        if found and found["status"] == status:
            yield taint, NO_SCHEDULE
            if taint in _EVICTING:
                yield taint, NO_EXECUTE
    if not nodes.is_schedulable(node):
        yield wellknown.TAINT_UNSCHEDULABLE, NO_SCHEDULE
