"""The node's pods by name, for whoever asks on port 10250."""

import threading
from collections.abc import Callable
from pathlib import Path

from k3py.api.objects import Object
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.node.observer import Observer
from k3py.node.runtime import specs
from k3py.node.runtime.runtime import Container, Role
from k3py.node.sandbox import Sandboxes
from k3py.node.server import LogFile, Refused

_LOOK_SECONDS = 0.3


class Lookup:
    """server.Pods, answered from what the agent knows. `pod` finds one by namespace and name."""

    def __init__(
        self,
        pod: Callable[[str, str], Object | None],
        observer: Observer,
        sandboxes: Sandboxes,
        logs: Path,
        clock: Clock = SYSTEM,
    ) -> None:
        self._pod, self._observer, self._sandboxes = pod, observer, sandboxes
        self._logs, self._clock = logs, clock

    def running(self, namespace: str, pod: str, container: str) -> str:
        found = self._attempts(self._found(namespace, pod), container)
        if not found or not found[0].is_running:
            raise Refused(f"container {container} of pod {namespace}/{pod} is not running")
        return found[0].id

    def has_terminal(self, namespace: str, pod: str, container: str) -> bool:
        spec = _container(self._found(namespace, pod), container)
        return bool(spec.get("tty"))

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogFile:
        obj = self._found(namespace, pod)
        _container(obj, container)
        found = self._attempts(obj, container)
        if not found:
            raise Refused(
                f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating',
                400,
            )
        if previous and len(found) < 2:
            raise Refused(
                f'previous terminated container "{container}" in pod "{pod}" not found', 400
            )
        chosen = found[1] if previous else found[0]
        folder = specs.log_folder(self._logs, obj) / container
        return LogFile(folder / f"{chosen.attempt}.log", self._ended(obj, chosen))

    def netns(self, namespace: str, pod: str) -> Path | None:
        obj = self._found(namespace, pod)
        sandbox = self._sandboxes.look(obj["metadata"]["uid"])
        if sandbox is None:
            raise Refused(f"pod {namespace}/{pod} is not running")
        return sandbox.place.net

    def _found(self, namespace: str, name: str) -> Object:
        pod = self._pod(namespace, name)
        if pod is None:
            raise Refused(f"pod {namespace}/{name} is not on this node")
        return pod

    def _attempts(self, pod: Object, name: str) -> list[Container]:
        containers = self._observer.containers(pod["metadata"]["uid"])
        found = [c for c in containers if c.name == name and c.role is not Role.INFRA]
        return sorted(found, key=lambda c: c.attempt, reverse=True)

    def _ended(self, pod: Object, container: Container) -> threading.Event:
        """Set once the container has ended; watched only while it runs."""
        ended = threading.Event()
        if not container.is_running:
            ended.set()
            return ended
        uid = pod["metadata"]["uid"]

        def watch() -> None:
            while not self._clock.wait(ended, _LOOK_SECONDS):
                now = {c.id: c for c in self._observer.containers(uid)}.get(container.id)
                if now is None or not now.is_running:
                    ended.set()

        threads.spawn(f"log/{container.id[:12]}", watch)
        return ended


def _container(pod: Object, name: str) -> Object:
    spec = pod["spec"]
    for container in (
        *spec["containers"],
        *(spec.get("initContainers") or ()),
        *(spec.get("ephemeralContainers") or ()),
    ):
        if container["name"] == name:
            found: Object = container
            return found
    raise Refused(f"container {name} is not valid for pod {pod['metadata']['name']}", 400)
