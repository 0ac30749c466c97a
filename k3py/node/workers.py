"""A thread for each pod, that brings the pod where it should be; only the newest wish counts.

wish (or a change) → look → next_step → act → report → again, until there is only waiting
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from k3py.api import conditions
from k3py.api.objects import Object
from k3py.base import threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.node import status as statuses
from k3py.node import steps, termination
from k3py.node.actions import Actions, NeedsPull, Refusal, container_of
from k3py.node.images import ImageProblem
from k3py.node.observer import Observer
from k3py.node.probing import HookFailed, Hooks, Probed, Prober, Target, has_probes
from k3py.node.reporter import Reporter
from k3py.node.runtime import specs
from k3py.node.runtime.runtime import Container, Image, Role, RuntimeFailed, State
from k3py.node.sandbox import Sandbox, Sandboxes
from k3py.node.seen import POD as WHOLE
from k3py.node.seen import Problem, Seen, Stopping, old_status
from k3py.node.status import Place
from k3py.node.steps import (
    Discard,
    Disconnect,
    Kill,
    MakeSandbox,
    Remove,
    Start,
    StartInfra,
    Step,
    Stop,
    Wait,
)

# Of things that may work in a moment: a missing config map, an engine that starts.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 30.0
# After a failed pull its status says so for a moment, and then that it is backing off.
PULL_FAILED_SECONDS = 2.0
# A process that will not die keeps its cgroup; what is left then is swept up later.
TIDY_SECONDS, MOST_TIDYINGS = 0.5, 30
_NEVER = timedelta(days=3650)

log = Log("k3py.node.workers")


@dataclass(frozen=True)
class Tools:
    """What every worker uses, and shares with the others."""

    actions: Actions
    observer: Observer
    sandboxes: Sandboxes
    reporter: Reporter
    prober: Prober
    hooks: Hooks
    clock: Clock = SYSTEM


class Worker:
    """One pod. `offer` and `poke` come from any thread, everything else happens in its own.

    `ended(uid)` is called when nothing of the pod is left.
    """

    def __init__(self, pod: Object, tools: Tools, ended: Callable[[str], None]) -> None:
        self.uid: str = pod["metadata"]["uid"]
        self._tools, self._ended = tools, ended
        self._changed = threading.Event()
        self._lock = threading.Lock()  # guards the two below
        self._pod, self._gone = pod, False
        self._status: Object | None = None
        self._paths: dict[str, Path] | None = None
        self._problems: dict[str, Problem] = {}
        self._stopping: dict[str, Stopping] = {}
        self._hooking: set[str] = set()
        self._hooks_failed: dict[str, str] = {}
        self._pulled: dict[str, Image] = {}
        self._last_words: dict[str, str] = {}
        self._told: set[str] = set()
        self._removed, self._tidyings = False, 0
        self._backoff: Backoff[str] = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        metadata = pod["metadata"]
        self._log = log.bind(pod=f"{metadata.get('namespace')}/{metadata['name']}")

    def offer(self, pod: Object | None) -> None:
        """The newest wish: the pod as it should be; None: the API knows it no more."""
        with self._lock:
            if pod is None:
                self._gone = True
            else:
                self._pod = pod
        self._changed.set()

    def poke(self) -> None:
        """Something about the pod has changed: look again."""
        self._changed.set()

    def run(self, stop: threads.Stop) -> None:
        """Work until nothing of the pod is left, or `stop` is set and someone pokes."""
        while not stop.is_set():
            self._changed.clear()
            try:
                if self._turn():
                    return
            except Exception as failed:
                if isinstance(failed, RuntimeFailed):
                    self._tools.observer.refresh()
                seconds = self._backoff.next("turn")
                self._log.warning("pod not settled, will retry", why=repr(failed))
                self._tools.clock.wait(self._changed, seconds)

    def sandbox(self) -> tuple[Object, Sandbox] | None:
        """The pod and its sandbox, for whoever refreshes volumes; None while there is none."""
        with self._lock:
            pod, gone = self._pod, self._gone
        found = self._tools.sandboxes.look(self.uid)
        return None if gone or found is None or self._paths is None else (pod, found)

    # --- one turn

    def _turn(self) -> bool:
        """Look, decide, act, report; whether the pod is no more."""
        with self._lock:
            pod, gone = self._pod, self._gone
        if self._removed:
            # Until the API has let go of the pod, its events must not begin it anew.
            return self._await_gone(pod, gone)
        pod = self._with_own_status(pod)
        now = self._tools.clock.now()
        seen = self._look(pod)
        step = steps.next_step(pod, seen, now, gone=gone)
        if not isinstance(step, Remove):
            self._report(pod, seen, now, gone)
        match step:
            case Wait(until):
                self._say_back_offs(pod, seen, now)
                self._backoff.forget("turn")
                seconds = None if until is None else (until - now).total_seconds()
                self._tools.clock.wait(self._changed, seconds)
            case Remove():
                self._remove(pod, seen, now, gone)
            case _:
                self._act(pod, seen, step, now)
        return False

    def _look(self, pod: Object) -> Seen:
        found = self._tools.observer.containers(self.uid)
        containers = tuple(self._with_end(pod, c) for c in found)
        running = {c.id for c in containers if c.is_running}
        self._stopping = {i: s for i, s in self._stopping.items() if i in running}
        for container in containers:
            if container.is_running:
                self._watch(pod, container)
        return Seen(
            sandbox=self._tools.sandboxes.look(self.uid),
            containers=containers,
            probed=self._probed(pod, containers),
            problems=dict(self._problems),
            stopping=dict(self._stopping),
            hooking=frozenset(self._hooking & running),
        )

    def _with_own_status(self, pod: Object) -> Object:
        """The pod with the status we last made: what comes back of it may be older.

        Conditions of others are theirs, and a phase that ended the pod is the API's word.
        """
        theirs = pod.get("status") or {}
        if self._status is None:
            return pod
        mine = self._status
        if theirs.get("phase") in (steps.SUCCEEDED, steps.FAILED):
            ended = {k: theirs[k] for k in ("phase", "reason", "message") if k in theirs}
            mine = mine | ended
        others = [c for c in theirs.get("conditions") or () if c["type"] not in statuses.CONDITIONS]
        ours = [c for c in mine["conditions"] if c["type"] in statuses.CONDITIONS]
        return {**pod, "status": {**theirs, **mine, "conditions": [*ours, *others]}}

    def _report(self, pod: Object, seen: Seen, now: datetime, gone: bool) -> Object:
        place = Place(self._tools.actions.machine.addresses, now)
        status = statuses.pod_status(pod, seen, place)
        self._status = status
        if not gone:
            with self._lock:
                wished = self._pod
            self._tools.reporter.report(wished, status, urgent=_is_urgent(wished, status))
        return status

    def _remove(self, pod: Object, seen: Seen, now: datetime, gone: bool) -> None:
        status = self._report(pod, seen, now, gone=True)
        for container in seen.containers:
            self._tools.prober.forget(container.id)
        self._tools.actions.remove(pod)
        if not gone:
            with self._lock:
                wished = self._pod
            self._tools.reporter.finish(wished, status)
        self._log.info("pod removed")
        self._removed = True

    def _await_gone(self, pod: Object, gone: bool) -> bool:
        """Wait for the API to let go of the pod, and for the kernel to let go of its cgroup."""
        self._tidyings += 1
        tidy = self._tidyings > MOST_TIDYINGS or self._tools.actions.tidy(pod)
        if gone and tidy:
            self._ended(self.uid)
            return True
        self._tools.clock.wait(self._changed, None if tidy else TIDY_SECONDS)
        return False

    # --- acting

    def _act(self, pod: Object, seen: Seen, step: Step, now: datetime) -> None:
        name = step.name if isinstance(step, Start) else WHOLE
        try:
            if self._do(pod, seen, step, now):
                self._problems.pop(name, None)
                self._backoff.forget(name)
        except Refusal as refusal:
            seconds = refusal.seconds
            if seconds is None:
                seconds = self._backoff.next(name)
            self._note(name, refusal.reason, str(refusal), seconds)

    def _do(self, pod: Object, seen: Seen, step: Step, now: datetime) -> bool:
        """Whether it was done; otherwise it goes on elsewhere. Raises Refusal."""
        actions = self._tools.actions
        match step:
            case MakeSandbox():
                self._paths = None
                actions.make_sandbox(pod)
            case StartInfra():
                number = sum(c.role is Role.INFRA for c in seen.containers)
                assert seen.sandbox
                actions.start_infra(pod, seen.sandbox, number)
            case Start():
                return self._start(pod, seen, step)
            case Stop():
                self._stop(pod, seen, step, now)
            case Kill(containers):
                self._kill(containers)
            case Discard(containers):
                for container in containers:
                    actions.discard(container)
            case Disconnect():
                actions.disconnect(pod)
                self._paths = None
        return True

    def _start(self, pod: Object, seen: Seen, step: Start) -> bool:
        """Whether it was done; otherwise its image is being pulled first."""
        assert seen.sandbox
        container = container_of(pod, step.name)
        assert container is not None
        if self._paths is None:
            self._paths = self._tools.actions.prepare_volumes(pod, seen.sandbox)
        infra = seen.infra()
        pulled = self._pulled.get(step.name)
        try:
            done = self._tools.actions.start(
                pod,
                container,
                step.attempt,
                seen.sandbox,
                self._paths,
                infra.pid if infra else 0,
                pulled,
            )
        except NeedsPull as needed:
            self._pull(pod, container, needed)
            return False
        self._pulled.pop(step.name, None)
        if done and done.is_running:
            self._log.info("container started", name=step.name, attempt=step.attempt.number)
            if (container.get("lifecycle") or {}).get("postStart"):
                self._post_start(self._target(pod, container, done))
        return True

    def _pull(self, pod: Object, container: Object, needed: NeedsPull) -> None:
        """In a thread of its own: the pod may be deleted meanwhile."""
        name = container["name"]

        def work() -> None:
            try:
                done = self._tools.actions.pull(pod, container, needed.reference)
                self._pulled[name] = done.image
                self._problems.pop(name, None)
            except ImageProblem as problem:
                self._note(name, problem.reason, str(problem), PULL_FAILED_SECONDS)
            except Exception as failed:
                self._note(name, "ErrImagePull", str(failed), PULL_FAILED_SECONDS)
            self._changed.set()

        # Until the pull has ended there is nothing to do for this container.
        self._note(name, "ContainerCreating", "", _NEVER.total_seconds())
        threads.spawn(f"pull/{name}", work)

    def _stop(self, pod: Object, seen: Seen, step: Stop, now: datetime) -> None:
        for running in step.containers:
            container = container_of(pod, running.name) or {"name": running.name}
            message = step.message or f"Stopping container {running.name}"
            self._tools.actions.said(pod, container, message)
            due = now + timedelta(seconds=step.grace)
            self._stopping[running.id] = Stopping(now, due)
            lifecycle = container.get("lifecycle") or {}
            signal = lifecycle.get("stopSignal") or running.stop_signal
            if lifecycle.get("preStop"):
                self._pre_stop(self._target(pod, container, running), step.grace, signal)
            else:
                self._tools.actions.signal(running, signal)

    def _kill(self, containers: tuple[Container, ...]) -> None:
        for container in containers:
            self._tools.actions.signal(container, "SIGKILL")
        # The exits will be seen; until then there is nothing to decide.
        now = self._tools.clock.now()
        later = now + timedelta(seconds=5)
        for container in containers:
            self._stopping[container.id] = Stopping(now, later)

    def _note(self, name: str, reason: str, message: str, seconds: float) -> None:
        until = self._tools.clock.now() + timedelta(seconds=seconds)
        self._problems[name] = Problem(reason, message, until)

    # --- hooks and probes

    def _post_start(self, target: Target) -> None:
        running = target.running
        self._hooking.add(running.id)

        def work() -> None:
            try:
                self._tools.hooks.post_start(target)
            except HookFailed as failed:
                self._tools.actions.unhealthy(
                    target.pod, target.container, "FailedPostStartHook", str(failed)
                )
                self._hooks_failed[running.id] = "FailedPostStartHook"
            finally:
                self._hooking.discard(running.id)
                self._changed.set()

        threads.spawn(f"hook/{running.name}", work)

    def _pre_stop(self, target: Target, grace: int, signal: str) -> None:
        def work() -> None:
            try:
                self._tools.hooks.pre_stop(target, grace)
            except HookFailed as failed:
                self._tools.actions.unhealthy(
                    target.pod, target.container, "FailedPreStopHook", str(failed)
                )
            self._tools.actions.signal(target.running, signal)

        threads.spawn(f"hook/{target.running.name}", work)

    def _watch(self, pod: Object, running: Container) -> None:
        container = container_of(pod, running.name)
        if container and has_probes(container) and running.id not in self._hooking:
            self._tools.prober.watch(self._target(pod, container, running), self._changed.set)

    def _probed(self, pod: Object, containers: tuple[Container, ...]) -> dict[str, Probed]:
        found = {}
        for running in containers:
            container = container_of(pod, running.name)
            if not running.is_running or container is None:
                self._tools.prober.forget(running.id)
            elif has_probes(container) and running.id not in self._hooking:
                found[running.id] = self._tools.prober.result(running.id)
            if running.id in self._hooks_failed:
                found[running.id] = Probed(False, False, self._hooks_failed[running.id])
        return found

    def _target(self, pod: Object, container: Object, running: Container) -> Target:
        sandbox = self._tools.sandboxes.look(self.uid)
        addresses = self._tools.actions.facts(pod, sandbox).pod_ips
        said = old_status(pod, running.name) or {}
        was = None
        if said.get("containerID") == f"podman://{running.id}":
            was = Probed(bool(said.get("started")), bool(said.get("ready")))
        return Target(pod, container, running, next(iter(addresses), ""), was)

    # --- ends

    def _with_end(self, pod: Object, found: Container) -> Container:
        """The container with its last words; and, where the engine forgot it, with its end.

        After a reboot, or when its start was interrupted, the engine calls a container merely
        created. What the status said of it tells whether it ever ran.
        """
        if found.state is State.CREATED:
            found = _remembered(pod, found)
        if found.state is not State.EXITED or found.message or found.role is Role.INFRA:
            return found
        if found.id not in self._last_words:
            container = container_of(pod, found.name) or {}
            actions = self._tools.actions
            file = actions.termination_log(pod, found.name, found.attempt)
            folder = specs.log_folder(actions.machine.logs, pod) / found.name
            end = folder / f"{found.attempt}.log"
            said = termination.message(container, file, end, failed=found.exit_code != 0)
            self._last_words[found.id] = said
        return replace(found, message=self._last_words[found.id])

    def _say_back_offs(self, pod: Object, seen: Seen, now: datetime) -> None:
        """One event for each end that a container waits after."""
        for container in pod["spec"]["containers"]:
            latest = seen.latest(container["name"])
            if latest is None or latest.is_running or latest.id in self._told:
                continue
            if statuses.is_backing_off(pod, container, latest):
                self._told.add(latest.id)
                self._tools.actions.backs_off(pod, container)


class Workers:
    """The workers of this node, by pod."""

    def __init__(self, tools: Tools, *, ended: Callable[[str], None] = lambda _uid: None) -> None:
        self._tools, self._ended = tools, ended
        self._lock = threading.Lock()  # guards the two below
        self._workers: dict[str, Worker] = {}
        self._stop: threads.Stop = threading.Event()

    def offer(self, pod: Object) -> None:
        """What the pod should be from now on; its worker starts with the first."""
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None:
                worker = self._workers[uid] = Worker(pod, self._tools, self._forget)
                self._run(worker)
        worker.offer(pod)

    def drop(self, pod: Object) -> None:
        """The API knows this pod no more: end it."""
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None:
                worker = self._workers[uid] = Worker(pod, self._tools, self._forget)
                worker.offer(None)
                self._run(worker)
                return
        worker.offer(None)

    def poke(self, uid: str) -> None:
        with self._lock:
            worker = self._workers.get(uid)
        if worker:
            worker.poke()

    def all(self) -> list[Worker]:
        with self._lock:
            return [*self._workers.values()]

    def stop(self) -> None:
        """Let every worker return; containers are left as they are."""
        self._stop.set()
        for worker in self.all():
            worker.poke()

    def _run(self, worker: Worker) -> None:
        threads.spawn(f"pod/{worker.uid[:8]}", lambda: worker.run(self._stop))

    def _forget(self, uid: str) -> None:
        with self._lock:
            self._workers.pop(uid, None)
        self._ended(uid)


def _remembered(pod: Object, found: Container) -> Container:
    said = old_status(pod, found.name) or {}
    identity = f"podman://{found.id}"
    for part in ("state", "lastState"):
        ended = (said.get(part) or {}).get("terminated") or {}
        if ended.get("containerID") == identity:
            return replace(
                found,
                state=State.EXITED,
                exit_code=ended["exitCode"],
                reason=ended.get("reason", ""),
                message=ended.get("message", ""),
            )
    if said.get("containerID") == identity and (said.get("state") or {}).get("running"):
        return replace(found, state=State.EXITED, exit_code=255, reason="Unknown")
    return found


def _is_urgent(pod: Object, status: Object) -> bool:
    """Whether somebody waits for this: readiness, an end, a problem; not that it begins."""
    if status["phase"] != "Pending":
        return True
    if conditions.is_true({"status": status}, "Ready") != conditions.is_true(pod, "Ready"):
        return True
    every = [*status["containerStatuses"], *status.get("initContainerStatuses", ())]
    reasons = {(s["state"].get("waiting") or {}).get("reason") for s in every}
    return bool(reasons - {None, "ContainerCreating", "PodInitializing"})
