"""What a node asks of a container engine.

The engine knows containers and images, and nothing of pods: which pod a container is of
stands in its labels, so whoever looks at the engine sees all there is to know.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from k3py.api.objects import Object

# The labels of every container of a pod.
POD_UID = "io.k3py.pod.uid"
POD_NAME = "io.k3py.pod.name"
POD_NAMESPACE = "io.k3py.pod.namespace"
CONTAINER = "io.k3py.container"
ROLE = "io.k3py.role"
ATTEMPT = "io.k3py.attempt"
BACK_OFF = "io.k3py.back-off"
HASH = "io.k3py.hash"
SANDBOX = "io.k3py.sandbox"
IMAGE = "io.k3py.image"
IMAGE_REFERENCE = "io.k3py.image-reference"


class RuntimeFailed(Exception):
    """The engine refused; the message is its own. `code` is the HTTP status, 0 for none."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(RuntimeFailed):
    """The engine does not answer. What was asked may or may not have been done."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0)


class State(Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Role(Enum):
    """What a container is for. A sidecar is an init container that goes on running."""

    INFRA = "infra"
    INIT = "init"
    SIDECAR = "sidecar"
    APP = "app"


@dataclass(frozen=True)
class ContainerSpec:
    """A container to be made. `body` is the engine's own form of it; `log` its log file."""

    name: str
    labels: Mapping[str, str]
    body: Object
    log: str = ""


@dataclass(frozen=True)
class Container:
    """One container as the engine shows it.

    `exit_code` and `finished` mean something once it has exited; `pid` and `monitor` (the
    process that waits for it) while it runs. `reason` and `message` say how it ended where
    the exit code does not: StartError, ContainerStatusUnknown, and its own last words.
    """

    id: str
    labels: Mapping[str, str]
    state: State
    image: str = ""
    image_id: str = ""
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int = 0
    pid: int = 0
    monitor: int = 0
    oom_killed: bool = False
    stop_signal: str = "SIGTERM"
    reason: str = ""
    message: str = ""

    @property
    def pod_uid(self) -> str:
        return self.labels.get(POD_UID, "")

    @property
    def name(self) -> str:
        """The container's name in its pod."""
        return self.labels.get(CONTAINER, "")

    @property
    def role(self) -> Role:
        return Role(self.labels.get(ROLE, Role.APP.value))

    @property
    def attempt(self) -> int:
        return int(self.labels.get(ATTEMPT, "0"))

    @property
    def back_off(self) -> int:
        """Seconds to wait after this container's end before the next one is started."""
        return int(self.labels.get(BACK_OFF, "0"))

    @property
    def sandbox(self) -> str:
        """The id of the sandbox it was made for."""
        return self.labels.get(SANDBOX, "")

    @property
    def digest(self) -> str:
        return self.labels.get(HASH, "")

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING


@dataclass(frozen=True)
class Image:
    """`reference` is what statuses show: repository@digest, or the id. `user` as in the image."""

    id: str
    reference: str
    names: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    command: tuple[str, ...] = ()
    created: datetime | None = None


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str
    token: str = ""


@dataclass(frozen=True)
class Limits:
    """What of a running container may change: None leaves it. Memory in bytes."""

    memory: int | None = None
    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int = 100_000


@dataclass(frozen=True)
class Version:
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}://{self.version}"


class Session(Protocol):
    """A command in a container, or the container's own main process, with its streams.

    `stream` carries standard input one way. The other way it carries the terminal's raw
    bytes, or, without a terminal, frames: one byte (1 output, 2 error), three zeros, the
    length in 4 bytes, big-endian, then that many bytes. Half-closing it ends the input.
    """

    stream: socket.socket
    first: bytes
    """What arrived together with the answer, before anyone read `stream`."""

    def resize(self, *, width: int, height: int) -> None: ...

    def exit_code(self) -> int:
        """Waits for the end of the command. Meaningless for an attached container."""

    def close(self) -> None: ...


class Runtime(Protocol):
    """Every method may raise RuntimeFailed, or Unreachable when the engine does not answer."""

    def version(self) -> Version: ...

    def pull(self, image: str, credentials: Credentials | None = None) -> None:
        """Raises RuntimeFailed with what the registry said."""

    def image(self, name: str) -> Image | None: ...
    def images(self) -> list[Image]: ...
    def remove_image(self, image_id: str) -> None: ...

    def create(self, spec: ContainerSpec) -> str:
        """The id of the new container. RuntimeFailed with code 409: the name is taken."""

    def start(self, container_id: str) -> None: ...
    def kill(self, container_id: str, signal: str) -> None:
        """Send `signal` ("TERM", "SIGKILL", "9") to the main process; gone is no error."""

    def remove(self, container_id: str) -> None:
        """Remove it, dead or alive; gone is no error."""

    def inspect(self, container_id: str) -> Container | None: ...
    def containers(self) -> list[Container]:
        """All that have a pod's labels. Cheaper than inspecting each, and less exact: times are
        whole seconds and `monitor` is 0."""

    def execute(
        self,
        container_id: str,
        argv: list[str],
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tty: bool = False,
    ) -> Session: ...

    def attach(
        self, container_id: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> Session: ...

    def update(self, container_id: str, limits: Limits) -> None: ...

    def disk_usage(self) -> Mapping[str, int]:
        """Bytes in the writable layer of each container, by id."""


@dataclass(frozen=True)
class Labels:
    """Whose a container is, in the words of its labels."""

    uid: str
    namespace: str
    pod: str
    container: str
    role: Role = Role.APP
    attempt: int = 0
    back_off: int = 0
    digest: str = ""
    sandbox: str = ""
    image: str = ""
    image_reference: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            POD_UID: self.uid,
            POD_NAMESPACE: self.namespace,
            POD_NAME: self.pod,
            CONTAINER: self.container,
            ROLE: self.role.value,
            ATTEMPT: str(self.attempt),
            BACK_OFF: str(self.back_off),
            HASH: self.digest,
            SANDBOX: self.sandbox,
            IMAGE: self.image,
            IMAGE_REFERENCE: self.image_reference,
        }
