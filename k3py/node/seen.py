"""What is known of a pod at one moment: all that its next step and its status depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from k3py.api.objects import Object
from k3py.kinds.core import pod as pods
from k3py.node.probing import UNPROBED, Probed
from k3py.node.runtime.runtime import Container, Role, State
from k3py.node.sandbox import Sandbox

# The key of a problem that is the whole pod's: its sandbox or its volumes.
POD = ""


@dataclass(frozen=True)
class Problem:
    """Why something could not be done, in Kubernetes' words, and when to try again."""

    reason: str
    message: str
    until: datetime


@dataclass(frozen=True)
class Stopping:
    """A container that was told to end; at `due` it is killed."""

    since: datetime
    due: datetime


@dataclass(frozen=True)
class Seen:
    """`containers` are all attempts of all containers; `hooking` those whose postStart runs.

    `problems` are kept by the container's name, the other maps by the container's id.
    """

    sandbox: Sandbox | None = None
    containers: tuple[Container, ...] = ()
    probed: Mapping[str, Probed] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    stopping: Mapping[str, Stopping] = field(default_factory=dict)
    hooking: frozenset[str] = frozenset()

    def attempts(self, name: str) -> list[Container]:
        """Every attempt at a container, newest first."""
        found = [c for c in self.containers if c.name == name and c.role is not Role.INFRA]
        return sorted(found, key=lambda c: c.attempt, reverse=True)

    def latest(self, name: str) -> Container | None:
        return next(iter(self.attempts(name)), None)

    def current(self, name: str) -> Container | None:
        """The newest attempt, if it is of this sandbox: what ran in another must run again."""
        latest = self.latest(name)
        return latest if latest and self.is_here(latest) else None

    def is_here(self, container: Container) -> bool:
        return self.sandbox is not None and container.sandbox == self.sandbox.place.id

    def running(self) -> list[Container]:
        return [c for c in self.containers if c.state is State.RUNNING]

    def infra(self) -> Container | None:
        """The living infra container of this sandbox."""
        found = (c for c in self.running() if c.role is Role.INFRA and self.is_here(c))
        return next(found, None)

    def result(self, container: Container) -> Probed:
        """What is known of a running container's health."""
        if container.id in self.hooking:
            return Probed(started=False, ready=False)
        return self.probed.get(container.id, UNPROBED)


def role(pod: Object, name: str) -> Role:
    for container in pod["spec"].get("initContainers") or ():
        if container["name"] == name:
            return Role.SIDECAR if pods.is_sidecar(container) else Role.INIT
    return Role.APP


def old_status(pod: Object, name: str) -> Object | None:
    """What the pod's status said of a container when it was last written."""
    status = pod.get("status") or {}
    for group in ("containerStatuses", "initContainerStatuses"):
        for found in status.get(group) or ():
            if found["name"] == name:
                said: Object = found
                return said
    return None
