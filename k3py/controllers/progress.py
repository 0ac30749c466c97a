"""What a Deployment says of itself: its counts, and whether it gets on. Pure.

Kubernetes' conditions, reasons and messages:

    Available       are enough pods up?          MinimumReplicas(Un)Available
    Progressing     does the rollout move?       NewReplicaSetCreated, FoundNewReplicaSet,
                                                 ReplicaSetUpdated, NewReplicaSetAvailable,
                                                 ProgressDeadlineExceeded, DeploymentPaused …
    ReplicaFailure  are pods refused?            as the ReplicaSet says
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from k3py.api import conditions, times
from k3py.api.objects import Object, Objects
from k3py.controllers.rollout import Aim

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = 2**31 - 1


def counted(
    d: Object, goal: Aim, new: Object | None, sets: Sequence[Object], now: datetime
) -> Object:
    """The status with the counts of `sets` (`new` among them), and Available from those."""
    old = d.get("status", {})
    replicas, ready = _sum(sets, "replicas"), _sum(sets, "readyReplicas")
    available = _sum(sets, "availableReplicas")
    wanted: int = sum(rs["spec"]["replicas"] for rs in sets)
    counts = {
        "replicas": replicas,
        "updatedReplicas": _sum([new], "replicas") if new else 0,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
        "terminatingReplicas": _sum(sets, "terminatingReplicas"),
    }
    always = ("terminatingReplicas",)
    status: Object = {name: n for name, n in counts.items() if n or name in always}
    status["observedGeneration"] = d["metadata"].get("generation", 0)
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    if available >= goal.replicas - goal.unavailable:
        state = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = "Deployment does not have minimum availability."
        state = ("False", "MinimumReplicasUnavailable", text)
    status["conditions"] = stated(old.get("conditions") or [], "Available", *state, now=now)
    return status


def judged(
    d: Object, status: Object, new: Object | None, sets: Sequence[Object], now: datetime
) -> Object:
    """`status`, with whether the rollout moves, and what the ReplicaSets complain of."""
    found: Objects = status["conditions"]
    if not has_deadline(d):
        found = [c for c in found if c["type"] != "Progressing"]
    else:
        found = _progressing(d, status, new, now)
    found = [c for c in found if c["type"] != "ReplicaFailure"]
    if failure := _failure(new, sets):
        old = conditions.find(d, "ReplicaFailure")
        same = old and (old["status"], old["reason"]) == (failure["status"], failure["reason"])
        found = [*found, old if same and old else failure]
    return status | {"conditions": found}


def is_complete(d: Object, status: Object) -> bool:
    """Whether all is new, all is there, and nothing old is left."""
    wanted = d["spec"]["replicas"]
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    observed = status.get("observedGeneration", 0) >= d["metadata"].get("generation", 0)
    return observed and all(count == wanted for count in counts)


def has_deadline(d: Object) -> bool:
    deadline = d["spec"].get("progressDeadlineSeconds")
    return deadline is not None and deadline != NO_DEADLINE


def seconds_to_deadline(d: Object, status: Object, now: datetime) -> float | None:
    """When to look again although nothing moves; None when there is nothing to wait for."""
    current = conditions.find({"status": status}, "Progressing")
    if current is None or not has_deadline(d) or is_complete(d, status):
        return None
    if current["reason"] == TIMED_OUT:
        return None
    since = times.parse(current["lastUpdateTime"])
    left = timedelta(seconds=d["spec"]["progressDeadlineSeconds"]) - (now - since)
    return max(1.0, left / timedelta(seconds=1) + 1)


def stated(
    found: Sequence[Object], kind: str, status: str, reason: str, message: str, *, now: datetime
) -> Objects:
    """`found` with this condition; as it was, when its status and reason are the same."""
    old = next((c for c in found if c["type"] == kind), None)
    if old and (old["status"], old["reason"]) == (status, reason):
        return list(found)
    stamp = times.stamp(now)
    same = old is not None and old["status"] == status
    new = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": old["lastTransitionTime"] if old and same else stamp,
    }
    return [*(c for c in found if c["type"] != kind), new]


def _progressing(d: Object, status: Object, new: Object | None, now: datetime) -> Objects:
    found: Objects = status["conditions"]
    current = next((c for c in found if c["type"] == "Progressing"), None)
    if (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and current
        and current["reason"] == NEW_AVAILABLE
    ):
        return found
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else _deployment_name(d)
    if is_complete(d, status):
        text = f"{name} has successfully progressed."
        return stated(found, "Progressing", "True", NEW_AVAILABLE, text, now=now)
    if _moves(d.get("status", {}), status):
        since = current and current["status"] == "True" and current["lastTransitionTime"]
        moving = {
            "type": "Progressing",
            "status": "True",
            "reason": "ReplicaSetUpdated",
            "message": f"{name} is progressing.",
            "lastUpdateTime": times.stamp(now),
            "lastTransitionTime": since or times.stamp(now),
        }
        return [*(c for c in found if c["type"] != "Progressing"), moving]
    if _is_late(d, current, now):
        text = f"{name} has timed out progressing."
        return stated(found, "Progressing", "False", TIMED_OUT, text, now=now)
    return found


def _moves(old: Object, new: Object) -> bool:
    """Whether more are new, ready or available than before, or fewer are old."""

    def count(status: Object, name: str) -> int:
        found: int = status.get(name, 0)
        return found

    def outdated(status: Object) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(count(new, n) > count(old, n) for n in more)


def _is_late(d: Object, current: Object | None, now: datetime) -> bool:
    if current is None or current["reason"] == NEW_AVAILABLE:
        return False
    if current["reason"] == TIMED_OUT:
        return True
    deadline = timedelta(seconds=d["spec"]["progressDeadlineSeconds"])
    return times.parse(current["lastUpdateTime"]) + deadline < now


def _failure(new: Object | None, sets: Sequence[Object]) -> Object | None:
    """What the new ReplicaSet complains of, or else any other."""
    for rs in [*([new] if new else []), *sets]:
        if found := conditions.find(rs, "ReplicaFailure"):
            return found | {"lastUpdateTime": found.get("lastTransitionTime")}
    return None


def _sum(sets: Sequence[Object], count: str) -> int:
    return sum(rs.get("status", {}).get(count, 0) for rs in sets)


def _deployment_name(d: Object) -> str:
    return f'Deployment "{d["metadata"]["name"]}"'
