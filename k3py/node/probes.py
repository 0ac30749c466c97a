"""Startup, liveness and readiness probes of the containers that run here.

    started? ── startup probe succeeds (or there is none) ──► liveness and readiness probes

A few workers share all probes; each probe of each container is a key that comes again
after its period. Rules: Kubernetes, "Configure Liveness, Readiness and Startup Probes".
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from k3py import kinds
from k3py.api.objects import Object
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.events import WARNING, Recorder
from k3py.client.workqueue import WorkQueue
from k3py.node import checks
from k3py.node.checks import CheckFailed
from k3py.node.probing import PROBES, UNPROBED, Probed, Target
from k3py.node.runtime.runtime import Runtime

_WORKERS = 4
_WORDS = {"startupProbe": "Startup", "livenessProbe": "Liveness", "readinessProbe": "Readiness"}
log = Log("k3py.node.probes")


class ProbeKey(NamedTuple):
    container_id: str
    probe: str


@dataclass
class _Watched:
    """What is known of one container. `streaks` counts equal results in a row, by probe."""

    target: Target
    changed: Callable[[], None]
    result: Probed
    streaks: dict[str, int] = field(default_factory=dict)


class Probes:
    """The Prober of a node: see probing.Prober."""

    def __init__(self, runtime: Runtime, recorder: Recorder, *, clock: Clock = SYSTEM) -> None:
        self._runtime, self._recorder, self._clock = runtime, recorder, clock
        self._queue: WorkQueue[ProbeKey] = WorkQueue(clock=clock)
        self._lock = threading.Lock()  # guards _watched and the results in it
        self._watched: dict[str, _Watched] = {}

    def run(self, stop: threads.Stop) -> None:
        for number in range(_WORKERS):
            threads.spawn(f"probes/{number}", self._work)
        stop.wait()
        self._queue.close()

    def watch(self, target: Target, changed: Callable[[], None]) -> None:
        container_id = target.running.id
        with self._lock:
            if container_id in self._watched:
                return
            self._watched[container_id] = _Watched(target, changed, _first(target))
        age = _seconds_since_start(target, self._clock)
        for probe in PROBES:
            if spec := target.container.get(probe):
                wait = max(0.0, (spec.get("initialDelaySeconds") or 0) - age)
                self._queue.add_after(ProbeKey(container_id, probe), wait)

    def result(self, container_id: str) -> Probed:
        with self._lock:
            watched = self._watched.get(container_id)
            return watched.result if watched else Probed(started=False, ready=False)

    def forget(self, container_id: str) -> None:
        with self._lock:
            self._watched.pop(container_id, None)

    def _work(self) -> None:
        for key in self._queue:
            try:
                self._probe(key)
            except Exception:
                log.exception("probe failed to run", container=key.container_id)
            finally:
                self._queue.done(key)

    def _probe(self, key: ProbeKey) -> None:
        with self._lock:
            watched = self._watched.get(key.container_id)
        if watched is None:
            return
        spec = watched.target.container[key.probe]
        period = spec.get("periodSeconds") or 10
        if key.probe != "startupProbe" and not watched.result.started:
            self._queue.add_after(key, min(period, 1))
            return
        if key.probe == "startupProbe" and watched.result.started:
            return  # it has done its work
        failure = self._look(spec, watched.target)
        self._take_in(key, watched, spec, failure)
        if not self.result(key.container_id).failure:
            self._queue.add_after(key, period)

    def _look(self, spec: Object, target: Target) -> str:
        """Why the probe failed; empty when it succeeded."""
        seconds = spec.get("timeoutSeconds") or 1
        try:
            if action := spec.get("exec"):
                argv = list(action.get("command") or ())
                checks.execute(self._runtime, target.running.id, argv, seconds)
            elif action := spec.get("httpGet"):
                checks.http_get(action, target.container, target.address, seconds)
            elif action := spec.get("tcpSocket"):
                port = checks.named_port(target.container, action["port"])
                checks.tcp(action.get("host") or target.address, port, seconds)
            else:
                return "this node cannot run this kind of probe: exec, httpGet and tcpSocket it can"
        except CheckFailed as failed:
            return str(failed) or "no reason given"
        return ""

    def _take_in(self, key: ProbeKey, watched: _Watched, spec: Object, failure: str) -> None:
        word = _WORDS[key.probe]
        if failure:
            self._recorder.event(
                kinds.POD,
                watched.target.pod,
                WARNING,
                "Unhealthy",
                f"{word} probe failed: {failure}",
                field=f"spec.containers{{{watched.target.container['name']}}}",
            )
        with self._lock:
            if self._watched.get(key.container_id) is not watched:
                return
            streak = watched.streaks.get(key.probe, 0)
            streak = (min(streak, 0) - 1) if failure else (max(streak, 0) + 1)
            watched.streaks[key.probe] = streak
            old = watched.result
            watched.result = _judged(old, key.probe, spec, streak, watched.target)
            changed = watched.result != old
        if changed:
            watched.changed()


def _judged(old: Probed, probe: str, spec: Object, streak: int, target: Target) -> Probed:
    """The result after `streak` successes (failures, when negative) of `probe` in a row."""
    well = streak >= (spec.get("successThreshold") or 1)
    bad = -streak >= (spec.get("failureThreshold") or 3)
    match probe:
        case "startupProbe" if well:
            return Probed(started=True, ready=not target.container.get("readinessProbe"))
        case "readinessProbe" if well or bad:
            return replace(old, ready=well)
        case "startupProbe" | "livenessProbe" if bad:
            name, word = target.container["name"], _WORDS[probe].lower()
            return replace(
                old,
                ready=False,
                failure=f"Container {name} failed {word} probe, will be restarted",
            )
    return old


def _first(target: Target) -> Probed:
    """What holds before any probe has run: what an earlier agent found, or Kubernetes' start."""
    if target.was is not None:
        return replace(target.was, failure="")
    container = target.container
    if not any(container.get(probe) for probe in PROBES):
        return UNPROBED
    started = not container.get("startupProbe")
    return Probed(started=started, ready=started and not container.get("readinessProbe"))


def _seconds_since_start(target: Target, clock: Clock) -> float:
    since = target.running.started
    return (clock.now() - since) / timedelta(seconds=1) if since else 0.0
