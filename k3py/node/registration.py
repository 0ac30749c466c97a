"""The Node object, its conditions, and its heartbeat.

The heartbeat is a Lease, renewed every 10 seconds; the Node's own status is written when it
changes, and every 5 minutes. A node that is alive is thus two small writes, most of the time one.
"""

import contextlib
import os
import platform
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from k3py.api import conditions, errors, times, wellknown
from k3py.api.objects import Key, Object, Objects
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.kinds import LEASE, NODE
from k3py.node.runtime.runtime import Image

RENEW_SECONDS = 10.0
UNREADY_SECONDS = 0.25
LEASE_SECONDS = 40
STATUS_SECONDS = 300.0
# How often to see whether somebody has changed or deleted the Node.
LOOK_SECONDS = 60.0
KUBELET_PORT = 10250
MOST_PODS = 110
MOST_IMAGES = 50
# Kubernetes' thresholds for the conditions, and what it keeps for itself because of them.
RESERVED_MEMORY = 100 << 20
LEAST_DISK_SHARE = 0.10
LEAST_INODE_SHARE = 0.05

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}

log = Log("k3py.node.registration")


@dataclass(frozen=True)
class Facts:
    """What does not change while the machine runs."""

    name: str
    addresses: tuple[str, ...]
    version: str
    runtime: str
    cpus: int
    memory: int
    disk: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Health:
    """What the conditions say; each text is empty while all is well."""

    runtime: str = ""
    network: str = ""
    memory: bool = False
    disk: bool = False
    pids: bool = False

    @property
    def is_ready(self) -> bool:
        return not (self.runtime or self.network)


# --- decisions


def node(facts: Facts) -> Object:
    """The Node as it is registered; its status follows."""
    labels = {
        wellknown.HOSTNAME: facts.name,
        wellknown.OS: "linux",
        wellknown.ARCH: architecture(),
        wellknown.INSTANCE_TYPE: "k3py",
        **facts.labels,
    }
    spec: Object = {"taints": list(facts.taints)} if facts.taints else {}
    return {
        "apiVersion": NODE.api_version,
        "kind": NODE.kind,
        "metadata": {"name": facts.name, "labels": labels},
        "spec": spec,
    }


def node_status(
    facts: Facts, health: Health, images: Objects, old: Object, now: datetime
) -> Object:
    """Everything but the heartbeat times, which `beat` sets."""
    capacity = {
        "cpu": str(facts.cpus),
        "memory": f"{facts.memory // 1024}Ki",
        "ephemeral-storage": f"{facts.disk // 1024}Ki",
        "pods": str(MOST_PODS),
    }
    allocatable = capacity | {
        "memory": f"{(facts.memory - RESERVED_MEMORY) // 1024}Ki",
        "ephemeral-storage": str(int(facts.disk * (1 - LEAST_DISK_SHARE))),
    }
    addresses = [{"type": "InternalIP", "address": a} for a in facts.addresses]
    found: Objects = list(old.get("conditions") or ())
    for condition in _conditions(health):
        found = conditions.updated(found, condition, now)
    return {
        "addresses": [*addresses, {"type": "Hostname", "address": facts.name}],
        "capacity": capacity,
        "allocatable": allocatable,
        "conditions": found,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "images": images,
        "nodeInfo": node_info(facts),
    }


def beat(status: Object, now: datetime) -> Object:
    """The status with every one of our conditions confirmed at `now`."""
    stamped = [
        {**c, "lastHeartbeatTime": times.stamp(now)} if c["type"] in _OURS else c
        for c in status["conditions"]
    ]
    return status | {"conditions": stamped}


def without_beat(status: Mapping[str, object]) -> Object:
    """The status as far as it is news: what `beat` sets is left out."""
    said = status.get("conditions") or ()
    assert isinstance(said, Sequence)
    kept = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in said]
    return {**status, "conditions": kept}


def lease(name: str, owner: str, now: datetime) -> Object:
    found: Object = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": name, "namespace": wellknown.NODE_LEASES},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": times.micro_stamp(now),
        },
    }
    if owner:
        reference = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner}
        found["metadata"]["ownerReferences"] = [reference]
    return found


def listed_images(images: Sequence[Image]) -> Objects:
    """The largest ones: the scheduler prefers nodes that have what is long to pull."""
    named = sorted((i for i in images if i.names), key=lambda i: i.size, reverse=True)
    return [{"names": list(i.names[:5]), "sizeBytes": i.size} for i in named[:MOST_IMAGES]]


_OURS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")


def _conditions(health: Health) -> Objects:
    why = "; ".join(filter(None, (health.runtime, health.network)))
    return [
        _pressure("MemoryPressure", health.memory, "KubeletHas{}Memory", "memory available"),
        _disk_pressure(health.disk),
        _pressure("PIDPressure", health.pids, "KubeletHas{}PID", "PID available"),
        {
            "type": "Ready",
            "status": "False" if why else "True",
            "reason": "KubeletNotReady" if why else "KubeletReady",
            "message": why or "kubelet is posting ready status",
        },
    ]


def _pressure(kind: str, holds: bool, reason: str, what: str) -> Object:
    amount = "Insufficient" if holds else "Sufficient"
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason.format(amount),
        "message": f"kubelet has {amount.lower()} {what}",
    }


def _disk_pressure(holds: bool) -> Object:
    return {
        "type": "DiskPressure",
        "status": "True" if holds else "False",
        "reason": "KubeletHasDiskPressure" if holds else "KubeletHasNoDiskPressure",
        "message": f"kubelet has {'' if holds else 'no '}disk pressure",
    }


# --- the machine


def node_info(facts: Facts) -> Object:
    return {
        "architecture": architecture(),
        "bootID": _line("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": facts.runtime,
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": facts.version,
        "machineID": _line("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_image(),
        "systemUUID": _line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
    }


def architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def memory_bytes(limit: int | None = None) -> int:
    """The machine's memory, or less where its top cgroup may only use less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(total, limit) if limit else total


def disk_bytes(root: Path) -> int:
    return shutil.disk_usage(_existing(root)).total


def pressures(root: Path) -> Health:
    """What runs short, by Kubernetes' thresholds."""
    disk = os.statvfs(_existing(root))
    few_bytes = disk.f_bavail < disk.f_blocks * LEAST_DISK_SHARE
    few_inodes = bool(disk.f_files) and disk.f_favail < disk.f_files * LEAST_INODE_SHARE
    return Health(
        memory=_available_memory() < RESERVED_MEMORY,
        disk=few_bytes or few_inodes,
        pids=_few_pids(),
    )


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _available_memory() -> int:
    with Path("/proc/meminfo").open() as table:
        for line in table:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return RESERVED_MEMORY


def _few_pids() -> bool:
    running = int(_line("/proc/loadavg").split()[3].partition("/")[2])
    return running > int(_line("/proc/sys/kernel/pid_max")) * 0.9


def _line(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _os_image() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return "Linux"


# --- the loop


class Registration:
    """Keeps this node's Node and Lease. `health` and `images` are asked for their news."""

    def __init__(
        self,
        client: Client,
        facts: Facts,
        *,
        health: Callable[[], Health],
        images: Callable[[], Sequence[Image]],
        clock: Clock = SYSTEM,
    ) -> None:
        self._client, self._facts = client, facts
        self._health, self._images, self._clock = health, images, clock
        self._wake = threading.Event()
        self._uid = ""
        self._written = self._looked = -STATUS_SECONDS
        self._told: tuple[Health, Objects] | None = None
        self._failing = self._labelled = False

    def refresh(self) -> None:
        """Something about the node may have changed: look soon."""
        self._wake.set()

    def run(self, stop: threads.Stop) -> None:
        def wake() -> None:
            stop.wait()
            self._wake.set()

        threads.spawn("registration/stop", wake)
        while not stop.is_set():
            self._wake.clear()
            try:
                self.turn()
                self._note_success()
                # A node that is not ready is waited for.
                seconds = RENEW_SECONDS if self._is_ready() else UNREADY_SECONDS
            except errors.ApiError as failed:
                self._note_failure(failed)
                seconds = 1.0
            self._clock.wait(self._wake, seconds)

    def _is_ready(self) -> bool:
        return self._told is not None and self._told[0].is_ready

    def turn(self) -> None:
        """Register if need be, write the status if it is news or due, renew the lease."""
        health, images = self._health(), listed_images(self._images())
        now = self._clock.monotonic()
        if (health, images) != self._told or now - self._looked >= LOOK_SECONDS:
            self._write(health, images)
            self._told, self._looked = (health, images), now
        self._renew()

    def _write(self, health: Health, images: Objects) -> None:
        current = self._node()
        self._uid = current["metadata"]["uid"]
        old, now = current.get("status") or {}, self._clock.now()
        status = node_status(self._facts, health, images, old, now)
        known = {k: old.get(k) for k in status}
        is_news = without_beat(known) != without_beat(status)
        if is_news or self._clock.monotonic() - self._written >= STATUS_SECONDS:
            change = {"status": beat(status, now)}
            self._client.patch(NODE, Key("", self._facts.name), change, subresource="status")
            self._written = self._clock.monotonic()

    def _node(self) -> Object:
        try:
            found = self._client.get(NODE, Key("", self._facts.name))
        except errors.NotFound:
            found = self._client.create(NODE, node(self._facts))
            log.info("node registered", node=self._facts.name)
            return found
        wanted = node(self._facts)["metadata"]["labels"]
        labels = found["metadata"].get("labels") or {}
        # Once, when the agent starts: later the labels are the users' to change.
        is_first, self._labelled = not self._labelled, True
        if is_first and any(labels.get(k) != v for k, v in wanted.items()):
            change = {"metadata": {"labels": wanted}}
            return self._client.patch(NODE, Key("", self._facts.name), change)
        return found

    def _renew(self) -> None:
        wanted = lease(self._facts.name, self._uid, self._clock.now())
        key = Key(wellknown.NODE_LEASES, self._facts.name)
        try:
            self._client.patch(LEASE, key, {"spec": wanted["spec"]})
        except errors.NotFound:
            self._client.create(LEASE, wanted)

    def _note_failure(self, failed: errors.ApiError) -> None:
        if not self._failing:
            self._failing = True
            log.warning("node status not written, will retry", why=failed)

    def _note_success(self) -> None:
        if self._failing:
            self._failing = False
            log.info("node status written again")
