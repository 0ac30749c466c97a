"""Containers that only pretend: a container engine in memory.

runtime = FakeRuntime("docker.io/library/busybox:1.36")
…
runtime.exit("app", 3)
runtime.calls == ["create app_0_uid-web", "start app_0_uid-web"]
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from k3py.base.clock import Clock
from k3py.node.probing import HookFailed, Probed, Target
from k3py.node.runtime.runtime import (
    Container,
    ContainerSpec,
    Credentials,
    Image,
    Limits,
    RuntimeFailed,
    Session,
    State,
    Version,
)
from k3py.testing.clock import FakeClock


class FakeRuntime:
    """Has the images it is given; pulls those in `registry`, and refuses all others.

    Every container's process is this one, so it seems alive until `exit` says otherwise.
    `refuse["start app_0_uid-web"] = "no such file"` makes that call fail, once for each time.
    """

    def __init__(self, *images: str, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.calls: list[str] = []
        self.refuse: dict[str, str] = {}
        self.registry: set[str] = set()
        self.specs: dict[str, ContainerSpec] = {}
        self.credentials: list[Credentials | None] = []
        self._lock = threading.Lock()
        self._images = {name: _image(name) for name in images}
        self._containers: dict[str, Container] = {}
        self._names: dict[str, str] = {}

    # What a test arranges and asks.

    def exit(self, name: str, code: int = 0, *, oom: bool = False) -> None:
        """Let the running container of that name in its pod end."""
        with self._lock:
            found = next(c for c in self._containers.values() if c.name == name and c.is_running)
            self._containers[found.id] = replace(
                found,
                state=State.EXITED,
                exit_code=code,
                pid=0,
                finished=self.clock.now(),
                oom_killed=oom,
            )

    def reboot(self) -> None:
        """What a power cut does: the engine calls what ran merely created."""
        with self._lock:
            for found in self._containers.values():
                if found.is_running:
                    new = replace(found, state=State.CREATED, pid=0, started=None)
                    self._containers[found.id] = new

    def running(self) -> list[str]:
        """The names of what runs, as their pods call them."""
        with self._lock:
            return sorted(c.name for c in self._containers.values() if c.is_running)

    # The Runtime protocol.

    def version(self) -> Version:
        return Version("podman", "4.3.1")

    def pull(self, image: str, credentials: Credentials | None = None) -> None:
        self._note(f"pull {image}")
        self.credentials.append(credentials)
        if image not in self.registry:
            raise RuntimeFailed(f"initializing source docker://{image}: manifest unknown")
        with self._lock:
            self._images[image] = _image(image)

    def image(self, name: str) -> Image | None:
        return self._images.get(name)

    def images(self) -> list[Image]:
        return list(self._images.values())

    def remove_image(self, image_id: str) -> None:
        with self._lock:
            self._images = {n: i for n, i in self._images.items() if i.id != image_id}

    def create(self, spec: ContainerSpec) -> str:
        self._note(f"create {spec.name}")
        with self._lock:
            if spec.name in self._names:
                raise RuntimeFailed(f"the container name {spec.name} is already in use", 409)
            container_id = f"{len(self.specs):064x}"
            self._names[spec.name] = container_id
            self.specs[container_id] = spec
            self._containers[container_id] = Container(
                container_id, spec.labels, State.CREATED, created=self.clock.now()
            )
            return container_id

    def start(self, container_id: str) -> None:
        self._note(f"start {self._name(container_id)}")
        with self._lock:
            found = self._containers[container_id]
            self._containers[container_id] = replace(
                found, state=State.RUNNING, pid=os.getpid(), started=self.clock.now()
            )

    def kill(self, container_id: str, signal: str) -> None:
        self._note(f"kill {self._name(container_id)} {signal}")

    def remove(self, container_id: str) -> None:
        self._note(f"remove {self._name(container_id)}")
        with self._lock:
            container_id = self._names.get(container_id, container_id)
            self._containers.pop(container_id, None)
            self._names = {n: i for n, i in self._names.items() if i != container_id}

    def inspect(self, container_id: str) -> Container | None:
        return self._containers.get(container_id)

    def containers(self) -> list[Container]:
        with self._lock:
            return list(self._containers.values())

    def execute(
        self,
        container_id: str,
        argv: list[str],
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tty: bool = False,
    ) -> Session:
        raise RuntimeFailed("a pretended container runs no commands")

    def attach(
        self, container_id: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> Session:
        raise RuntimeFailed("a pretended container has no streams")

    def update(self, container_id: str, limits: Limits) -> None:
        self._note(f"update {self._name(container_id)}")

    def disk_usage(self) -> Mapping[str, int]:
        return dict.fromkeys(self._containers, 0)

    def _name(self, container_id: str) -> str:
        return next((n for n, i in self._names.items() if i == container_id), container_id)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        why = self.refuse.pop(call, None)
        if why is not None:
            raise RuntimeFailed(why)


class FakeProber:
    """Says of each container what a test has put into `results`, by its name in the pod."""

    def __init__(self) -> None:
        self.results: dict[str, Probed] = {}
        self.targets: dict[str, Target] = {}

    def watch(self, target: Target, changed: object) -> None:
        self.targets[target.running.id] = target

    def result(self, container_id: str) -> Probed:
        target = self.targets.get(container_id)
        name = target.running.name if target else ""
        return self.results.get(name, Probed(started=False, ready=False))

    def forget(self, container_id: str) -> None:
        self.targets.pop(container_id, None)


class FakeHooks:
    """Notes hooks as they run; `failing` is the message to fail with."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failing = ""

    def post_start(self, target: Target) -> None:
        self._run(f"postStart {target.running.name}")

    def pre_stop(self, target: Target, seconds: float) -> None:
        self._run(f"preStop {target.running.name} {seconds:g}")

    def _run(self, what: str) -> None:
        self.ran.append(what)
        if self.failing:
            raise HookFailed(self.failing)


def _image(name: str) -> Image:
    digest = f"{abs(hash(name)):064x}"[-64:]
    repository = name.rpartition(":")[0]
    when = datetime(2030, 1, 1, tzinfo=UTC)
    return Image(
        digest, f"{repository}@sha256:{digest}", (name,), 1_000_000, "", ("/bin/sh",), when
    )
