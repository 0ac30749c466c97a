"""A pod's status from what was seen of it: pure, and exactly what Kubernetes would say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from k3py.api import meta, times
from k3py.api.objects import Object, Objects
from k3py.kinds.core import pod as pods
from k3py.node import restarts, steps
from k3py.node.images import normalized
from k3py.node.runtime.runtime import Container, State
from k3py.node.seen import POD, Problem, Seen, old_status

# What the node writes; other conditions belong to others and stay as they are.
CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
_INCOMPLETE = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Place:
    """Where the pod runs, for its status. `now` stamps what changed."""

    addresses: tuple[str, ...]
    now: datetime


def pod_status(pod: Object, seen: Seen, place: Place) -> Object:
    """The whole status that the node is responsible for, on top of what it was."""
    old = pod.get("status") or {}
    spec = pod["spec"]
    over = steps.is_over(pod, seen, place.now)
    initialized = steps.is_initialized(pod, seen)
    inits = [_init_status(pod, c, seen, over) for c in spec.get("initContainers") or ()]
    apps = [_app_status(pod, c, seen, over, initialized) for c in spec["containers"]]
    phase = _phase(pod, seen, inits, apps, place.now)
    status: Object = {
        "phase": phase,
        **_verdict(pod, old, place.now),
        **_addresses(pod, seen, place, old),
        "startTime": old.get("startTime") or times.stamp(place.now),
        "qosClass": old.get("qosClass") or pods.qos_class(pod),
        "containerStatuses": apps,
    }
    if inits:
        status["initContainerStatuses"] = inits
    generation = pod["metadata"].get("generation")
    if generation is not None:
        status["observedGeneration"] = generation
    found = _conditions(pod, seen, phase, inits, apps, initialized=initialized)
    status["conditions"] = _merged(old.get("conditions") or (), found, generation, place.now)
    return status


def change(old: Mapping[str, Any], new: Object) -> Object:
    """The merge patch that makes `old` the status `new`; empty when nothing changes."""
    gone = ("message", "reason")
    patch = {k: v for k, v in new.items() if old.get(k) != v}
    return patch | {k: None for k in gone if k in old and k not in new}


# --- containers


def _app_status(
    pod: Object, container: Object, seen: Seen, over: bool, initialized: bool
) -> Object:
    nothing_yet = "ContainerCreating" if initialized else "PodInitializing"
    if not pod["spec"].get("initContainers"):
        nothing_yet = "ContainerCreating"
    return _container_status(pod, container, seen, over, nothing_yet)


def _init_status(pod: Object, container: Object, seen: Seen, over: bool) -> Object:
    status = _container_status(pod, container, seen, over, "PodInitializing")
    if not pods.is_sidecar(container):
        ended = status["state"].get("terminated")
        status["ready"] = bool(ended and ended["exitCode"] == 0)
        status["started"] = "running" in status["state"]
    return status


def _container_status(
    pod: Object, container: Object, seen: Seen, over: bool, nothing_yet: str
) -> Object:
    name = container["name"]
    old = old_status(pod, name) or {}
    attempts = [c for c in seen.attempts(name) if c.state is not State.CREATED]
    latest = attempts[0] if attempts else None
    # A restart moves what was the state into lastState; so does a wait for one.
    waiting = None if over else _waiting(pod, container, seen, latest)
    if latest is None and not waiting and _has_run(old) and over:
        return old
    if latest is None:
        state: Object = {"waiting": waiting or {"reason": nothing_yet}}
        last = _last(old)
    elif waiting:
        state, last = {"waiting": waiting}, _terminated(latest)
    else:
        state = _running(latest) if latest.is_running else _terminated(latest)
        last = _terminated(attempts[1]) if len(attempts) > 1 else old.get("lastState") or {}
    running = latest is not None and latest.is_running
    probed = seen.result(latest) if latest and running else None
    status: Object = {
        "name": name,
        "state": state,
        "lastState": last,
        "ready": bool(probed and probed.ready),
        "restartCount": latest.attempt if latest else old.get("restartCount", 0),
        "image": normalized(container["image"]),
        "imageID": _image_id(latest, old),
        "started": bool(probed and probed.started),
    }
    identity = f"podman://{latest.id}" if latest else old.get("containerID")
    return status | ({"containerID": identity} if identity else {})


def _waiting(pod: Object, container: Object, seen: Seen, latest: Container | None) -> Object | None:
    """Why the container does not run although it should; None when it runs or has ended."""
    if latest and latest.is_running:
        return None
    problem: Problem | None = seen.problems.get(container["name"])
    if latest is None:
        return _said(problem) if problem else None
    if not seen.is_here(latest) and seen.sandbox is not None:
        return _said(problem) if problem else {"reason": "ContainerCreating"}
    if not restarts.should_restart(pod, container, latest):
        return None
    if problem:
        return _said(problem)
    seconds = int(restarts.delay(latest).total_seconds())
    if not is_backing_off(pod, container, latest):
        return None
    return {
        "reason": "CrashLoopBackOff",
        "message": crash_loop(pod, container["name"], seconds),
    }


def is_backing_off(pod: Object, container: Object, ended: Container) -> bool:
    """Whether the container waits before it is started again."""
    if not restarts.should_restart(pod, container, ended):
        return False
    return bool(restarts.delay(ended))


def crash_loop(pod: Object, name: str, seconds: int) -> str:
    return f"back-off {duration(seconds)} restarting failed container={name} pod={full_name(pod)}"


def full_name(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def duration(seconds: int) -> str:
    """As Go prints it: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _said(problem: Problem) -> Object:
    return {"reason": problem.reason} | ({"message": problem.message} if problem.message else {})


def _running(container: Container) -> Object:
    return {"running": {"startedAt": _stamp(container.started)}}


def _terminated(container: Container) -> Object:
    reason = container.reason or ("Completed" if container.exit_code == 0 else "Error")
    if container.oom_killed:
        reason = "OOMKilled"
    ended = {
        "exitCode": container.exit_code,
        "reason": reason,
        "message": container.message,
        "startedAt": _stamp(container.started),
        "finishedAt": _stamp(container.finished),
        "containerID": f"podman://{container.id}",
    }
    return {"terminated": {k: v for k, v in ended.items() if v not in ("", None)}}


def _stamp(when: datetime | None) -> str | None:
    return times.stamp(when) if when else None


def _has_run(old: Object) -> bool:
    return bool((old.get("state") or {}).get("terminated"))


def _last(old: Object) -> Object:
    """What the status said last, where the engine knows no container any more."""
    state = old.get("state") or {}
    if state.get("terminated"):
        return {"terminated": state["terminated"]}
    if state.get("running"):
        return {"terminated": unknown_end(old, state["running"].get("startedAt"))}
    return old.get("lastState") or {}


def unknown_end(old: Object, started: str | None) -> Object:
    """The end of a container that nobody saw, as after a power cut."""
    ended = {
        "exitCode": 255,
        "reason": "Unknown",
        "startedAt": started,
        "containerID": old.get("containerID"),
    }
    return {k: v for k, v in ended.items() if v not in ("", None)}


def _image_id(latest: Container | None, old: Object) -> str:
    if latest:
        return latest.labels.get("io.k3py.image-reference", "") or latest.image_id
    return str(old.get("imageID", ""))


# --- the whole pod


def _phase(pod: Object, seen: Seen, inits: Objects, apps: Objects, now: datetime) -> str:
    old = str((pod.get("status") or {}).get("phase") or "")
    if old in (steps.SUCCEEDED, steps.FAILED):
        return old
    if steps.is_late(pod, now):
        return steps.FAILED
    outcome = steps.outcome(pod, seen)
    if outcome:
        return outcome
    ended = [s["state"].get("terminated") for s in apps]
    if meta.is_deleting(pod) and not seen.running() and all(ended):
        return steps.FAILED if any(e["exitCode"] for e in ended) else steps.SUCCEEDED
    if not steps.is_initialized(pod, seen) and not any(_ran(s) for s in apps):
        return "Pending"
    return "Running" if all(_ran(s) for s in apps) else "Pending"


def _ran(status: Object) -> bool:
    """Whether the container has run at least once."""
    return "waiting" not in status["state"] or bool(status["lastState"].get("terminated"))


def _verdict(pod: Object, old: Object, now: datetime) -> Object:
    """Why the pod as a whole failed, where somebody has said so."""
    if steps.is_late(pod, now) and old.get("phase") != steps.SUCCEEDED:
        return {
            "reason": "DeadlineExceeded",
            "message": "Pod was active on the node longer than the specified deadline",
        }
    return {k: old[k] for k in ("reason", "message") if k in old}


def _addresses(pod: Object, seen: Seen, place: Place, old: Object) -> Object:
    found: Object = {}
    if place.addresses:
        found["hostIP"] = place.addresses[0]
        found["hostIPs"] = [{"ip": a} for a in place.addresses]
    own = place.addresses if pod["spec"].get("hostNetwork") else ()
    if seen.sandbox and not own:
        own = seen.sandbox.addresses
    if own:
        found["podIP"] = own[0]
        found["podIPs"] = [{"ip": a} for a in own]
    elif old.get("podIP"):
        found |= {k: old[k] for k in ("podIP", "podIPs") if k in old}
    return found


def _conditions(
    pod: Object, seen: Seen, phase: str, inits: Objects, apps: Objects, *, initialized: bool
) -> Objects:
    containers = _containers_ready(phase, inits, apps, pod)
    return [
        _condition("PodReadyToStartContainers", seen.sandbox is not None),
        _initialized(phase, inits, initialized),
        _ready(pod, containers),
        containers,
        _condition("PodScheduled", True),
    ]


def _initialized(phase: str, inits: Objects, initialized: bool) -> Object:
    if phase == steps.SUCCEEDED:
        return _condition("Initialized", True, "PodCompleted")
    if initialized:
        return _condition("Initialized", True)
    names = [s["name"] for s in inits if not (s["ready"] or s["started"])]
    message = f"containers with incomplete status: [{' '.join(names)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def _containers_ready(phase: str, inits: Objects, apps: Objects, pod: Object) -> Object:
    if phase == steps.SUCCEEDED:
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == steps.FAILED:
        return _condition("ContainersReady", False, "PodFailed")
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if pods.is_sidecar(c)}
    counted = [*(s for s in inits if s["name"] in sidecars), *apps]
    unready = [s["name"] for s in counted if not s["ready"]]
    if not unready:
        return _condition("ContainersReady", True)
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition("ContainersReady", False, "ContainersNotReady", message)


def _ready(pod: Object, containers: Object) -> Object:
    if containers["status"] != "True":
        return {**containers, "type": "Ready"}
    said = {c["type"]: c["status"] for c in (pod.get("status") or {}).get("conditions") or ()}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in said:
            problems.append(
                f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            )
        elif said[kind] != "True":
            problems.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {said[kind]}'
            )
    if problems:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(problems))
    return _condition("Ready", True)


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> Object:
    found = {"type": kind, "status": "True" if holds else "False"}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def _merged(old: Iterable[Object], new: Objects, generation: int | None, now: datetime) -> Objects:
    """Ours first, each with the time since when it holds; then those of others, untouched."""
    before = {c["type"]: c for c in old}
    done = []
    for condition in new:
        past = before.get(condition["type"])
        same = past is not None and past["status"] == condition["status"]
        since = past.get("lastTransitionTime") if past and same else None
        counted = {} if generation is None else {"observedGeneration": generation}
        done.append({**condition, **counted, "lastTransitionTime": since or times.stamp(now)})
    return done + [c for kind, c in before.items() if kind not in CONDITIONS]


def starting_problem(seen: Seen) -> Problem | None:
    """What keeps the whole pod from starting."""
    return seen.problems.get(POD)
