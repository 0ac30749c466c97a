"""What to do next for a pod: a pure decision, taken from what is there.

    nothing → sandbox → init containers, one by one → containers → (restarts)
                 all ended for good → stop sidecars → disconnect → wait
                 deleted, gone      → stop all      → remove

No step remembers the one before it, so an agent that was killed half way resumes by
looking, and every step can be tested without a runtime.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from k3py.api import meta, times
from k3py.api.objects import Object
from k3py.kinds.core import pod as pods
from k3py.node import restarts
from k3py.node.restarts import Attempt
from k3py.node.runtime import specs
from k3py.node.runtime.runtime import Container, Role, State
from k3py.node.seen import POD, Problem, Seen

# Kubernetes gives a container at least this long between TERM and KILL.
SHORTEST_GRACE = 2
SUCCEEDED, FAILED = "Succeeded", "Failed"


@dataclass(frozen=True)
class MakeSandbox:
    """Namespaces, address, volumes."""


@dataclass(frozen=True)
class StartInfra:
    """The container whose process namespace the others share."""


@dataclass(frozen=True)
class Start:
    name: str
    attempt: Attempt


@dataclass(frozen=True)
class Stop:
    """Tell containers to end, and kill them after `grace` seconds."""

    containers: tuple[Container, ...]
    grace: int
    message: str = ""
    """For the Killing event; empty: stopping, and that is all."""


@dataclass(frozen=True)
class Kill:
    containers: tuple[Container, ...]


@dataclass(frozen=True)
class Discard:
    """Remove containers that are no use to anybody."""

    containers: tuple[Container, ...]


@dataclass(frozen=True)
class Disconnect:
    """A finished pod: take its sandbox and volumes away, and keep its dead containers."""


@dataclass(frozen=True)
class Remove:
    """Take everything of the pod away, and tell the API that it is gone."""


@dataclass(frozen=True)
class Wait:
    until: datetime | None = None


Step = MakeSandbox | StartInfra | Start | Stop | Kill | Discard | Disconnect | Remove | Wait


def next_step(pod: Object, seen: Seen, now: datetime, *, gone: bool = False) -> Step:
    """`gone`: the API knows the pod no more, and `pod` is what was last known of it."""
    if gone or meta.is_deleting(pod):
        return _end(seen, now, _grace(pod, gone)) or Remove()
    if is_over(pod, seen, now):
        return _end(seen, now, _grace(pod, gone)) or _settle(seen)
    return _tidy(pod, seen, now) or _begin(pod, seen, now)


def is_over(pod: Object, seen: Seen, now: datetime) -> bool:
    """Whether the pod has ended for good, and what still runs of it must end too."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in (SUCCEEDED, FAILED) or is_late(pod, now) or outcome(pod, seen) is not None


def is_late(pod: Object, now: datetime) -> bool:
    """Whether activeDeadlineSeconds have passed."""
    seconds = pod["spec"].get("activeDeadlineSeconds")
    start = (pod.get("status") or {}).get("startTime")
    if seconds is None or not start:
        return False
    return now >= times.parse(start) + timedelta(seconds=seconds)


def outcome(pod: Object, seen: Seen) -> str | None:
    """Succeeded or Failed, once no container will run again; None before."""
    for container in pod["spec"].get("initContainers") or ():
        ended = _ended(seen, container)
        broken = ended is not None and ended.exit_code and not pods.is_sidecar(container)
        if ended and broken and not restarts.should_restart(pod, container, ended):
            return FAILED
    codes = []
    for container in pod["spec"]["containers"]:
        ended = _ended(seen, container)
        if ended is None or restarts.should_restart(pod, container, ended):
            return None
        codes.append(ended.exit_code)
    return FAILED if any(codes) else SUCCEEDED


def is_initialized(pod: Object, seen: Seen) -> bool:
    """Whether the app containers may run: every init container has done its part.

    Once one of them has run in this sandbox, the init containers are not looked at again:
    their remains may have been cleaned up.
    """
    if any(seen.current(c["name"]) for c in pod["spec"]["containers"]):
        return True
    return all(_is_done(seen, c) for c in pod["spec"].get("initContainers") or ())


# --- ending


def _grace(pod: Object, gone: bool) -> int:
    spec_says = pod["spec"].get("terminationGracePeriodSeconds", 30)
    seconds = 0 if gone else pod["metadata"].get("deletionGracePeriodSeconds", spec_says)
    return max(int(seconds), SHORTEST_GRACE)


def _end(seen: Seen, now: datetime, grace: int) -> Step | None:
    """End what runs: apps together, then sidecars, the last first, then the infra container."""
    running = seen.running()
    apps = [c for c in running if c.role in (Role.APP, Role.INIT)]
    sidecars = [c for c in running if c.role is Role.SIDECAR]
    if apps:
        return _stop(seen, now, apps, grace)
    if sidecars:
        newest = max(sidecars, key=lambda c: (c.created or now, c.name))
        return _stop(seen, now, [newest], grace)
    if running:
        return Kill(tuple(running))
    return None


def _stop(seen: Seen, now: datetime, wanted: list[Container], grace: int) -> Step:
    asked = {c.id: seen.stopping[c.id] for c in wanted if c.id in seen.stopping}
    new = tuple(c for c in wanted if c.id not in asked)
    if new:
        return Stop(new, grace)
    # The newest wish counts: a second deletion may leave less time than the first.
    due = {i: min(s.due, s.since + timedelta(seconds=grace)) for i, s in asked.items()}
    late = tuple(c for c in wanted if due[c.id] <= now)
    return Kill(late) if late else Wait(min(due.values()))


def _settle(seen: Seen) -> Step:
    infra = tuple(c for c in seen.containers if c.role is Role.INFRA)
    if infra:
        return Discard(infra)
    return Disconnect() if seen.sandbox else Wait()


# --- tidying


def _tidy(pod: Object, seen: Seen, now: datetime) -> Step | None:
    """End what must not run on, and remove what never ran or is two attempts old."""
    strays = [c for c in seen.running() if not seen.is_here(c)]
    if strays:
        return _stop(seen, now, strays, _grace(pod, gone=False))
    late = tuple(c for c in seen.running() if _is_due(seen, c, now))
    if late:
        return Kill(late)
    rubbish = tuple(_rubbish(seen))
    if rubbish:
        return Discard(rubbish)
    return next(_unwanted(pod, seen), None)


def _rubbish(seen: Seen) -> Iterator[Container]:
    names = {c.name for c in seen.containers if c.role is not Role.INFRA}
    for name in sorted(names):
        attempts = seen.attempts(name)
        yield from (c for c in attempts if c.state is State.CREATED)
        yield from (c for c in attempts[2:] if c.state is State.EXITED)
    infra = (c for c in seen.containers if c.role is Role.INFRA)
    yield from (c for c in infra if not (c.is_running and seen.is_here(c)))


def _unwanted(pod: Object, seen: Seen) -> Iterator[Step]:
    """Running containers that failed a probe, or whose image the pod no longer names."""
    spec = pod["spec"]
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        running = seen.current(container["name"])
        if not running or not running.is_running or running.id in seen.stopping:
            continue
        name, failure = container["name"], seen.result(running).failure
        if failure:
            yield Stop((running,), _probe_grace(pod, container, failure), failure)
        elif running.digest != specs.digest(container):
            message = f"Container {name} definition changed, will be restarted"
            yield Stop((running,), _grace(pod, gone=False), message)


def _probe_grace(pod: Object, container: Object, failure: str) -> int:
    kind = "startupProbe" if "startup" in failure else "livenessProbe"
    own = (container.get(kind) or {}).get("terminationGracePeriodSeconds")
    return max(int(own), 1) if own is not None else _grace(pod, gone=False)


def _is_due(seen: Seen, container: Container, now: datetime) -> bool:
    stopping = seen.stopping.get(container.id)
    return stopping is not None and stopping.due <= now


# --- beginning


def _begin(pod: Object, seen: Seen, now: datetime) -> Step:
    problem = seen.problems.get(POD)
    if problem and problem.until > now:
        return Wait(problem.until)
    if seen.sandbox is None:
        return MakeSandbox()
    if specs.shares_processes(pod) and not seen.infra():
        return StartInfra()
    if any(c.id in seen.hooking for c in seen.running()):
        return Wait(_earliest(pod, seen))
    later: list[datetime] = []
    for container in _wanted(pod, seen):
        due = _due(pod, container, seen, now)
        if due <= now:
            return Start(container["name"], restarts.attempt(pod, seen, container["name"]))
        later.append(due)
    deadline = _earliest(pod, seen)
    return Wait(min([*later, *([deadline] if deadline else [])], default=None))


def _wanted(pod: Object, seen: Seen) -> Iterator[Object]:
    """The containers that should run and do not, in the order to start them."""
    initialized = is_initialized(pod, seen)
    for container in pod["spec"].get("initContainers") or ():
        current = seen.current(container["name"])
        pending = not initialized and not _is_done(seen, container)
        is_up = current is not None and current.is_running
        if not is_up and (pending or pods.is_sidecar(container)):
            yield container
        if pending:
            return
    for container in pod["spec"]["containers"]:
        current = seen.current(container["name"])
        ended = current or _ended(seen, container)
        if ended is None or (
            not ended.is_running and restarts.should_restart(pod, container, ended)
        ):
            yield container


def _due(pod: Object, container: Object, seen: Seen, now: datetime) -> datetime:
    """When the container may be started: after its back-off, and after its problem's."""
    ended = _ended(seen, container)
    problem: Problem | None = seen.problems.get(container["name"])
    moments = [restarts.due(ended, now)] if ended else [now]
    if problem:
        moments.append(problem.until)
    return max(moments)


def _earliest(pod: Object, seen: Seen) -> datetime | None:
    """When to look again although nothing changes: a kill or the deadline that is due."""
    moments = [s.due for i, s in seen.stopping.items() if any(c.id == i for c in seen.running())]
    seconds = pod["spec"].get("activeDeadlineSeconds")
    start = (pod.get("status") or {}).get("startTime")
    if seconds is not None and start:
        moments.append(times.parse(start) + timedelta(seconds=seconds))
    return min(moments, default=None)


def _is_done(seen: Seen, container: Object) -> bool:
    """Whether an init container lets the next one go."""
    current = seen.current(container["name"])
    if current is None:
        return False
    if pods.is_sidecar(container):
        return current.is_running and seen.result(current).started
    return current.state is State.EXITED and current.exit_code == 0


def _ended(seen: Seen, container: Object) -> Container | None:
    latest = seen.latest(container["name"])
    return latest if latest and latest.state is State.EXITED else None
