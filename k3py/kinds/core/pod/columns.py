"""What `kubectl get pods` says about a pod.

The one word under STATUS is made of much: the phase, why containers wait or ended, how far
initialization came, and whether the pod is being deleted. Same rules as kubectl users know.
"""

from typing import Any, NamedTuple

from k3py.api import conditions, meta
from k3py.api.kind import Since
from k3py.api.objects import Object, Objects
from k3py.kinds.core.pod.questions import is_sidecar

_NONE = "<none>"
_TERMINAL = ("Succeeded", "Failed")
NODE_LOST = "NodeLost"


class _Restarts(NamedTuple):
    times: int = 0
    last: str = ""  # when the last of them ended before it was restarted


_NO_RESTARTS = _Restarts()


def ready(pod: Object) -> str:
    spec, status = pod["spec"], pod.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if is_sidecar(c)}
    up = 0
    for container in status.get("initContainerStatuses") or ():
        if _exit_code(container) == 0:
            continue
        if not _sidecar_started(container, sidecars):
            break
        up += bool(container.get("ready"))
    if _is_past_init(pod):
        for container in status.get("containerStatuses") or ():
            up += bool(container.get("ready") and "running" in _state(container))
    return f"{up}/{len(spec['containers']) + len(sidecars)}"


def status(pod: Object) -> str:
    found = pod.get("status") or {}
    reason = found.get("reason") or found.get("phase") or "Unknown"
    scheduled = conditions.find(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    reason = _init_reason(pod) or reason
    if _is_past_init(pod):
        reason = _container_reason(pod, reason)
    if meta.is_deleting(pod):
        if found.get("reason") == NODE_LOST:
            return "Unknown"
        if found.get("phase") not in _TERMINAL:
            return "Terminating"
    return str(reason)


def restarts(pod: Object) -> Since | str:
    found = pod.get("status") or {}
    init = found.get("initContainerStatuses") or []
    if _is_past_init(pod):
        sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
        total = _restarts([c for c in init if c["name"] in sidecars])
        total = _restarts(found.get("containerStatuses") or [], total)
    else:
        total = _restarts(_initializing(pod))
    if not total.times or not total.last:
        return str(total.times)
    return Since(total.last, f"{total.times} ({{}} ago)")


def address(pod: Object) -> str:
    ips = (pod.get("status") or {}).get("podIPs") or ()
    return (ips[0].get("ip") if ips else "") or _NONE


def node(pod: Object) -> str:
    return pod["spec"].get("nodeName") or _NONE


def nominated_node(pod: Object) -> str:
    return (pod.get("status") or {}).get("nominatedNodeName") or _NONE


def readiness_gates(pod: Object) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return _NONE
    true = sum(conditions.is_true(pod, gate["conditionType"]) for gate in gates)
    return f"{true}/{len(gates)}"


def _init_reason(pod: Object) -> str:
    """Where initialization stands; empty when it is over or has not begun."""
    statuses = _initializing(pod)
    if not statuses or _is_initialized(statuses[-1], pod):
        return ""
    last = statuses[-1]
    terminated, waiting = _state(last).get("terminated"), _state(last).get("waiting")
    if terminated is not None:
        return "Init:" + _ended(terminated)
    if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
        return f"Init:{waiting['reason']}"
    return f"Init:{len(statuses) - 1}/{len(pod['spec'].get('initContainers') or ())}"


def _initializing(pod: Object) -> Objects:
    """The init containers' statuses up to and with the first that is not done."""
    found: Objects = []
    for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
        found.append(container)
        if not _is_initialized(container, pod):
            break
    return found


def _is_initialized(container: Object, pod: Object) -> bool:
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    return _exit_code(container) == 0 or _sidecar_started(container, sidecars)


def _is_past_init(pod: Object) -> bool:
    return not _init_reason(pod) or conditions.is_true(pod, "Initialized")


def _container_reason(pod: Object, reason: str) -> str:
    running = False
    for container in reversed((pod.get("status") or {}).get("containerStatuses") or ()):
        state = _state(container)
        if (waiting := state.get("waiting")) is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif (terminated := state.get("terminated")) is not None:
            reason = _ended(terminated)
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running" if conditions.is_true(pod, "Ready") else "NotReady"
    return reason


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _sidecar_started(container: Object, sidecars: set[str]) -> bool:
    return container["name"] in sidecars and bool(container.get("started"))


def _exit_code(container: Object) -> int | None:
    terminated: dict[str, Any] | None = _state(container).get("terminated")
    return None if terminated is None else int(terminated.get("exitCode", 0))


def _state(container: Object) -> Object:
    return container.get("state") or {}


def _restarts(statuses: Objects, so_far: _Restarts = _NO_RESTARTS) -> _Restarts:
    times, last = so_far
    for container in statuses:
        times += container.get("restartCount", 0)
        ended = (container.get("lastState") or {}).get("terminated") or {}
        last = max(last, ended.get("finishedAt") or "")
    return _Restarts(times, last)
