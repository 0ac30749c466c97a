"""Doing what was decided for a pod: each step's effects, and what is said of them.

Nothing here decides or remembers. What cannot be done now raises Refusal, in the words that
the pod's status will carry.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from k3py.api import errors
from k3py.api.objects import Key, Object, Objects
from k3py.base import files
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.kinds import POD, SECRET
from k3py.kinds.core import pod as pods
from k3py.node import cgroups, environment, images
from k3py.node.cgroups import Cgroups
from k3py.node.environment import ConfigProblem, Facts, Sources
from k3py.node.images import ImageProblem, Images, Pulled, Reference
from k3py.node.observer import Observer
from k3py.node.restarts import Attempt
from k3py.node.runtime import specs
from k3py.node.runtime.runtime import (
    Container,
    ContainerSpec,
    Image,
    Role,
    Runtime,
    RuntimeFailed,
    State,
    Unreachable,
)
from k3py.node.runtime.specs import Given, Mount, Refused
from k3py.node.sandbox import Sandbox, Sandboxes
from k3py.node.seen import role
from k3py.node.volumes.mounting import Volumes, container_mounts, unwritable
from k3py.node.volumes.volume import VolumeProblem

# More at once only makes each slower.
STARTS_AT_ONCE = 4
START_ERROR = 128
TERMINATION_LOG = "/dev/termination-log"
_PAUSE_PROGRAMS = (Path("/usr/libexec/podman/catatonit"), Path("/usr/bin/catatonit"))

log = Log("k3py.node.actions")


class Refusal(Exception):
    """A step cannot be done now. `reason` and the message are for the status.

    `seconds`: when to try again at the earliest; None leaves it to the caller's patience.
    """

    def __init__(self, reason: str, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.reason, self.seconds = reason, seconds


class NeedsPull(Exception):
    """The container's image must be pulled first, which may take long."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(str(reference))
        self.reference = reference


@dataclass(frozen=True)
class Machine:
    """What the node is, to its pods."""

    name: str
    addresses: tuple[str, ...]
    cpus: int
    memory: int
    logs: Path


class Actions:
    """Shared by all workers; each pod's methods are called by one thread at a time."""

    def __init__(
        self,
        runtime: Runtime,
        images_: Images,
        sandboxes: Sandboxes,
        volumes: Volumes,
        groups: Cgroups,
        observer: Observer,
        sources: Sources,
        recorder: Recorder,
        machine: Machine,
        *,
        services: Callable[[], Objects],
        clock: Clock = SYSTEM,
    ) -> None:
        self._runtime, self._images, self._sandboxes = runtime, images_, sandboxes
        self._volumes, self._groups, self._observer = volumes, groups, observer
        self._sources, self._recorder, self.machine = sources, recorder, machine
        self._services, self._clock = services, clock
        self._slots = threading.BoundedSemaphore(STARTS_AT_ONCE)
        self._limits_swap = groups.limits_swap
        self._least_oom_score = cgroups.least_oom_score()

    # --- the pod as a whole

    def make_sandbox(self, pod: Object) -> None:
        try:
            self._groups.create(cgroups.parent(self._groups.root, pod), cgroups.pod_resources(pod))
            self._sandboxes.make(pod)
        except Exception as failed:  # the network's errors are its own
            message = f"Failed to create pod sandbox: {failed}"
            self._say(pod, WARNING, "FailedCreatePodSandBox", message)
            raise Refusal("ContainerCreating", "") from failed

    def prepare_volumes(self, pod: Object, sandbox: Sandbox) -> dict[str, Path]:
        where = self._sandboxes.folders(pod["metadata"]["uid"])
        try:
            return self._volumes.prepare(pod, where, self.facts(pod, sandbox))
        except VolumeProblem as problem:
            self._say(pod, WARNING, "FailedMount", str(problem))
            raise Refusal("ContainerCreating", "") from problem

    def disconnect(self, pod: Object) -> None:
        self._sandboxes.finish(pod["metadata"]["uid"])
        self._groups.remove(cgroups.parent(self._groups.root, pod))

    def remove(self, pod: Object) -> None:
        """Take everything of the pod away. Raises RuntimeFailed, OSError."""
        uid = pod["metadata"]["uid"]
        for container in self._observer.containers(uid):
            self.discard(container)
        self._sandboxes.remove(uid)
        self.tidy(pod)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(specs.log_folder(self.machine.logs, pod))

    def tidy(self, pod: Object) -> bool:
        """Remove the pod's cgroup; whether it is gone.

        The engine cleans up after a container from within it, so that takes a moment.
        """
        return self._groups.remove(cgroups.parent(self._groups.root, pod))

    def discard(self, container: Container) -> None:
        self._runtime.remove(container.id)
        self._observer.removed(container.id)

    # --- starting

    def start_infra(self, pod: Object, sandbox: Sandbox, number: int) -> None:
        """Raises Refusal."""
        try:
            rootfs = self._pause_rootfs()
            given = self._given(pod, sandbox, Image("", ""), "", attempt=Attempt(number))
            container = self._create(specs.infra(pod, given, rootfs))
            self._runtime.start(container)
            self._observer.look(container)
        except (RuntimeFailed, OSError) as failed:
            message = f"Failed to create pod sandbox: {failed}"
            self._say(pod, WARNING, "FailedCreatePodSandBox", message)
            raise Refusal("ContainerCreating", "") from failed

    def start(
        self,
        pod: Object,
        container: Object,
        attempt: Attempt,
        sandbox: Sandbox,
        paths: dict[str, Path],
        infra: int,
        pulled: Image | None = None,
    ) -> Container | None:
        """The container, as it is after its start; None when it is gone already.

        `pulled`: what was pulled for this attempt, after NeedsPull.

        Raises NeedsPull, Refusal.
        """
        reference = self._reference(pod, container)
        image = pulled or self._image(pod, container, reference)
        spec = self._spec(pod, container, attempt, sandbox, paths, infra, reference, image)
        with self._slots:
            try:
                container_id = self._create(spec)
            except RuntimeFailed as failed:
                if "image not known" in str(failed):
                    self._images.forget(reference)
                self._fail(pod, container, str(failed))
                raise Refusal("CreateContainerError", str(failed)) from failed
            self._say_of(pod, container, NORMAL, "Created", "Container created")
            return self._start(pod, container, container_id)

    def _start(self, pod: Object, container: Object, container_id: str) -> Container | None:
        try:
            self._runtime.start(container_id)
        except Unreachable:
            raise
        except RuntimeFailed as failed:
            self._fail(pod, container, str(failed))
            left = self._observer.look(container_id)
            if left and left.state is State.CREATED:
                self._observer.failed(left, "StartError", str(failed), START_ERROR)
            return None
        self._say_of(pod, container, NORMAL, "Started", "Container started")
        return self._observer.look(container_id)

    def pull(self, pod: Object, container: Object, reference: Reference) -> Pulled:
        """Raises ImageProblem."""
        name = container["image"]
        self._say_of(pod, container, NORMAL, "Pulling", f'Pulling image "{name}"')
        try:
            done = self._images.pull(reference, self._pull_secrets(pod))
        except ImageProblem as problem:
            self._say_of(
                pod, container, WARNING, "Failed", f'Failed to pull image "{name}": {problem}'
            )
            self._fail(pod, container, problem.reason)
            raise
        seconds, waited = _go_seconds(done.seconds or 0), _go_seconds(done.waited)
        message = (
            f'Successfully pulled image "{name}" in {seconds} ({waited} including waiting). '
            f"Image size: {done.image.size} bytes."
        )
        self._say_of(pod, container, NORMAL, "Pulled", message)
        return done

    def _reference(self, pod: Object, container: Object) -> Reference:
        name = container["image"]
        reference = images.parse(name)
        if reference is None:
            why = (
                f'Failed to apply default image tag "{name}": '
                f'couldn\'t parse image name "{name}": invalid reference format'
            )
            self._say_of(pod, container, WARNING, "InspectFailed", why)
            self._fail(pod, container, "InvalidImageName")
            raise Refusal("InvalidImageName", why)
        return reference

    def _image(self, pod: Object, container: Object, reference: Reference) -> Image:
        """The container's image, if it is here and need not be pulled."""
        name = container["image"]
        policy = images.pull_policy(container)
        image = None if policy == "Always" else self._present(reference)
        if image:
            what = "already present on machine and can be accessed by the pod"
            self._say_of(pod, container, NORMAL, "Pulled", f'Container image "{name}" {what}')
            return image
        if policy == "Never":
            why = f'Container image "{name}" is not present with pull policy of Never'
            self._say_of(pod, container, WARNING, "ErrImageNeverPull", why)
            self._fail(pod, container, "ErrImageNeverPull")
            raise Refusal("ErrImageNeverPull", why)
        seconds, why = self._images.wait_seconds(reference)
        if seconds:
            self._say_of(pod, container, NORMAL, "BackOff", f'Back-off pulling image "{name}"')
            self._fail(pod, container, "ImagePullBackOff")
            text = f'Back-off pulling image "{name}": ErrImagePull: {why}'
            raise Refusal("ImagePullBackOff", text, seconds)
        raise NeedsPull(reference)

    def _present(self, reference: Reference) -> Image | None:
        try:
            return self._images.present(reference)
        except RuntimeFailed as failed:
            raise Refusal("ImageInspectError", str(failed)) from failed

    def _pull_secrets(self, pod: Object) -> Objects:
        """A secret that is not there is left out, as Kubernetes does; an event says so."""
        found = []
        for wanted in pod["spec"].get("imagePullSecrets") or ():
            key = Key(pod["metadata"]["namespace"], wanted.get("name") or "")
            try:
                found.append(self._sources.get(SECRET, key))
            except errors.ApiError:
                message = (
                    f"Unable to retrieve some image pull secrets ({key.name}); "
                    "attempting to pull the image may not succeed."
                )
                self._say(pod, WARNING, "FailedToRetrieveImagePullSecret", message)
        return found

    def _spec(
        self,
        pod: Object,
        container: Object,
        attempt: Attempt,
        sandbox: Sandbox,
        paths: dict[str, Path],
        infra: int,
        reference: Reference,
        image: Image,
    ) -> ContainerSpec:
        where = self._sandboxes.folders(pod["metadata"]["uid"])
        try:
            variables = environment.environment(
                pod,
                container,
                sources=self._sources,
                facts=self.facts(pod, sandbox),
                services=self._services,
            )
            volumes = container_mounts(
                container, paths, where, variables, read_only=unwritable(pod)
            )
            last_words = self._termination_log(pod, container, attempt)
            given = self._given(
                pod,
                sandbox,
                image,
                str(reference),
                attempt=attempt,
                environment=variables,
                mounts=(*volumes, last_words),
                role=role(pod, container["name"]),
                infra=infra,
            )
            return specs.spec(pod, container, given)
        except (ConfigProblem, Refused, VolumeProblem, errors.ApiError, OSError) as problem:
            self._fail(pod, container, str(problem))
            raise Refusal("CreateContainerConfigError", str(problem)) from problem

    def _given(
        self,
        pod: Object,
        sandbox: Sandbox,
        image: Image,
        name: str,
        *,
        attempt: Attempt,
        environment: dict[str, str] | None = None,
        mounts: tuple[Mount, ...] = (),
        role: Role = Role.APP,
        infra: int = 0,
    ) -> Given:
        return Given(
            place=sandbox.place,
            image=image,
            image_name=name,
            environment=environment or {},
            mounts=mounts,
            role=role,
            attempt=attempt.number,
            back_off=attempt.back_off,
            infra=infra,
            cgroup=cgroups.parent(self._groups.root, pod),
            logs=self.machine.logs,
            machine_memory=self.machine.memory,
            limits_memory="memory" in self._groups.controllers,
            limits_swap=self._limits_swap,
            least_oom_score=self._least_oom_score,
        )

    def _create(self, spec: ContainerSpec) -> str:
        try:
            return self._runtime.create(spec)
        except RuntimeFailed as failed:
            if failed.code != 409:
                raise
            # Left by a start that was interrupted before anyone knew its id.
            self._runtime.remove(spec.name)
            return self._runtime.create(spec)

    def _termination_log(self, pod: Object, container: Object, attempt: Attempt) -> Mount:
        file = self.termination_log(pod, container["name"], attempt.number)
        files.write(file, b"", mode=0o666, durable=False)
        return Mount(file, container.get("terminationMessagePath") or TERMINATION_LOG)

    def termination_log(self, pod: Object, name: str, number: int) -> Path:
        where = self._sandboxes.folders(pod["metadata"]["uid"])
        return where.termination_logs / name / f"{number}.message"

    def _pause_rootfs(self) -> Path:
        """A root file system that holds only the program that waits."""
        folder = self._sandboxes.pause_folder
        program = folder / specs.PAUSE.lstrip("/")
        if not program.exists():
            found = next((p for p in _PAUSE_PROGRAMS if p.exists()), None)
            if found is None:
                raise OSError("shareProcessNamespace needs catatonit, which is not installed")
            for name in ("dev", "etc", "proc", "run", "sys", "tmp", "var/tmp"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            files.write(program, found.read_bytes(), mode=0o755)
        return folder

    # --- what others need to know

    def facts(self, pod: Object, sandbox: Sandbox | None) -> Facts:
        own = sandbox.addresses if sandbox else ()
        if pod["spec"].get("hostNetwork"):
            own = self.machine.addresses
        machine = self.machine
        return Facts(machine.name, machine.addresses, own, machine.cpus, machine.memory)

    def refresh_volumes(self, pod: Object, sandbox: Sandbox) -> None:
        where = self._sandboxes.folders(pod["metadata"]["uid"])
        try:
            self._volumes.refresh(pod, where, self.facts(pod, sandbox))
        except VolumeProblem as problem:
            log.warning("volume not refreshed", pod=pod["metadata"]["name"], why=problem)

    def signal(self, container: Container, signal: str) -> None:
        with contextlib.suppress(RuntimeFailed):
            self._runtime.kill(container.id, signal)

    def said(self, pod: Object, container: Object, message: str) -> None:
        self._say_of(pod, container, NORMAL, "Killing", message)

    def backs_off(self, pod: Object, container: Object) -> None:
        name, whole = container["name"], pods_name(pod)
        message = f"Back-off restarting failed container {name} in pod {whole}"
        self._say_of(pod, container, WARNING, "BackOff", message)

    def unhealthy(self, pod: Object, container: Object, reason: str, message: str) -> None:
        self._say_of(pod, container, WARNING, reason, message)

    def _fail(self, pod: Object, container: Object, why: str) -> None:
        self._say_of(pod, container, WARNING, "Failed", f"Error: {why}")

    def _say(self, pod: Object, kind: str, reason: str, message: str) -> None:
        self._recorder.event(POD, pod, kind, reason, message)

    def _say_of(self, pod: Object, container: Object, kind: str, reason: str, message: str) -> None:
        name = container["name"]
        inits = pod["spec"].get("initContainers") or ()
        group = "initContainers" if any(c["name"] == name for c in inits) else "containers"
        field = f"spec.{group}{{{name}}}"
        self._recorder.event(POD, pod, kind, reason, message, field=field)


def pods_name(pod: Object) -> str:
    """name_namespace(uid), as events name a pod."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def container_of(pod: Object, name: str) -> Object | None:
    """The part of the pod's spec that is about the container."""
    return next((c for c in pods.containers(pod) if c["name"] == name), None)


def _go_seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}s"
