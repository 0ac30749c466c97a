"""What the node asks of whoever probes containers and runs their hooks.

The worker of a pod starts a watch when a container runs, reads the newest result whenever it
looks at its pod, and is called when the result has changed. A failed liveness or startup
probe is only told: killing the container is the worker's decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from k3py.api.objects import Object
from k3py.node.runtime.runtime import Container

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@dataclass(frozen=True)
class Probed:
    """What the probes of one running container say.

    `failure` is why it must be killed, for a person: empty while it is alive.
    """

    started: bool
    ready: bool
    failure: str = ""


# A container without probes: running is all that can be said of it.
UNPROBED = Probed(started=True, ready=True)


@dataclass(frozen=True)
class Target:
    """A running container that has probes.

    `container` is its part of the pod's spec, `address` the pod's. `was` is what the pod's
    status said of this very container: an agent that starts again goes on from there.
    """

    pod: Object
    container: Object
    running: Container
    address: str
    was: Probed | None = None


class Prober(Protocol):
    def watch(self, target: Target, changed: Callable[[], None]) -> None:
        """Begin probing, unless this container is watched already. Returns at once."""

    def result(self, container_id: str) -> Probed:
        """The newest result; neither started nor ready where nothing is known."""

    def forget(self, container_id: str) -> None:
        """End probing; unknown containers are no error."""


class HookFailed(Exception):
    """A lifecycle hook failed; the message is Kubernetes'."""


class Hooks(Protocol):
    def post_start(self, target: Target) -> None:
        """Run postStart to its end. Raises HookFailed."""

    def pre_stop(self, target: Target, seconds: float) -> None:
        """Run preStop to its end, or for `seconds`. Raises HookFailed."""


def has_probes(container: Object) -> bool:
    return any(container.get(probe) for probe in PROBES)
