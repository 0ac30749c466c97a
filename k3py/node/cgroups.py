"""The cgroups of pods, and how the kernel is told of their importance.

    /k3py ─┬─ pod<uid>             Guaranteed
           ├─ burstable/pod<uid>
           └─ besteffort/pod<uid>  each with libpod-<id> per container

Version 1 has one tree for each controller, version 2 one for all.
"""

import contextlib
import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from k3py.api import quantities
from k3py.api.objects import Object
from k3py.kinds.core import pod as pods

MOUNT = Path("/sys/fs/cgroup")
CPU_PERIOD = 100_000
FEWEST_SHARES, MOST_SHARES = 2, 262_144
SHORTEST_QUOTA = 1000

_CAP_SYS_RESOURCE = 24
_V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer")
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")


@dataclass(frozen=True)
class Resources:
    """What a cgroup is given: None is no limit. Memory in bytes, quota in µs per CPU_PERIOD."""

    cpu_shares: int = FEWEST_SHARES
    cpu_quota: int | None = None
    memory: int | None = None


# --- decisions


def oom_score(pod: Object, container: Object, machine_memory: int) -> int:
    """Who dies first when memory runs out: the more a container asked for, the later.

    The numbers are Kubernetes': -997 guaranteed, 1000 best effort, 3 to 999 between.
    """
    match pods.qos_class(pod):
        case "Guaranteed":
            return -997
        case "BestEffort":
            return 1000
    requests = (container.get("resources") or {}).get("requests") or {}
    score = 1000 - (1000 * quantities.whole(requests.get("memory") or 0)) // machine_memory
    return int(min(max(score, 3), 999))


def container_resources(container: Object) -> Resources:
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    cpu, memory = limits.get("cpu") or 0, limits.get("memory") or 0
    return _resources(
        quantities.millis(requests.get("cpu") or cpu),
        quantities.millis(cpu),
        quantities.whole(memory),
    )


def pod_resources(pod: Object) -> Resources:
    """What the pod's own cgroup gets: a limit only where every container has one."""
    requests, limits = pods.requests(pod), pods.limits(pod)
    limited = {n: _all_limited(pod, n) for n in ("cpu", "memory")}
    return _resources(
        requests.cpu,
        limits.cpu if limited["cpu"] else 0,
        limits.memory if limited["memory"] else 0,
    )


def parent(root: str, pod: Object) -> str:
    """The pod's cgroup, as a path from the top: what Podman calls cgroup_parent."""
    qos = pods.qos_class(pod)
    between = "" if qos == "Guaranteed" else f"/{qos.lower()}"
    return f"{root}{between}/pod{pod['metadata']['uid']}"


def _resources(millis: int, most_millis: int, memory: int) -> Resources:
    shares = min(max(millis * 1024 // 1000, FEWEST_SHARES), MOST_SHARES)
    quota = max(most_millis * CPU_PERIOD // 1000, SHORTEST_QUOTA) if most_millis else None
    return Resources(shares, quota, memory or None)


def _all_limited(pod: Object, name: str) -> bool:
    if (pod["spec"].get("resources") or {}).get("limits", {}).get(name):
        return True
    return all((c.get("resources") or {}).get("limits", {}).get(name) for c in pods.containers(pod))


# --- effects


class Cgroups:
    """The machine's cgroups below `root` ("/k3py"), whatever their version."""

    def __init__(self, root: str = "/k3py", mount: Path = MOUNT) -> None:
        self.root, self._mount = root, mount
        self.is_v2 = (mount / "cgroup.controllers").exists()
        self.controllers = self._find_controllers()

    @property
    def limits_swap(self) -> bool:
        """Whether the kernel counts swap: without, a limit on it is an error."""
        if self.is_v2:
            return (self._mount / "memory.swap.max").exists() or any(
                self._mount.glob("*/memory.swap.max")
            )
        return (self._mount / "memory/memory.memsw.limit_in_bytes").exists()

    def prepare(self) -> None:
        """The classes' own cgroups: best effort gets what nobody else wants."""
        self.create(self.root, Resources(cpu_shares=1024))
        self.create(f"{self.root}/burstable", Resources(cpu_shares=1024))
        self.create(f"{self.root}/besteffort", Resources())

    def create(self, path: str, resources: Resources) -> None:
        """Make the cgroup and set its limits; doing it again changes the limits."""
        for folder in self._folders(path):
            self._make(folder)
        settings = self._v2_settings if self.is_v2 else self._v1_settings
        for file, value in settings(path, resources):
            # A limit that the kernel was built without is left out, as the containers' are.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                file.write_text(value)

    def remove(self, path: str) -> bool:
        """Remove the cgroup and what is below it; whether no process kept it alive."""
        trees = [self._mount] if self.is_v2 else self._trees()
        folders = [tree / path.lstrip("/") for tree in trees]
        for folder in folders:
            _remove_tree(folder)
        return not any(folder.exists() for folder in folders)

    def pods(self) -> list[tuple[str, str]]:
        """The uid and the path of every pod that has a cgroup."""
        first = self._folders(self.root)[0]
        found = []
        for between in ("", "/burstable", "/besteffort"):
            for folder in Path(f"{first}{between}").glob("pod*"):
                uid = folder.name.removeprefix("pod")
                found.append((uid, f"{self.root}{between}/{folder.name}"))
        return found

    def oom_file(self, pid: int) -> Path | None:
        """The file that counts the out-of-memory kills in the cgroup of process `pid`."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            _, names, path = line.split(":", 2)
            if self.is_v2 and names == "":
                return self._mount / path.lstrip("/") / "memory.events"
            if "memory" in names.split(","):
                return self._mount / "memory" / path.lstrip("/") / "memory.oom_control"
        return None

    def memory_limit(self) -> int | None:
        """What the machine's own top cgroup may use, where it is a container or a test node."""
        file = "memory.max" if self.is_v2 else "memory/memory.limit_in_bytes"
        with contextlib.suppress(OSError, ValueError):
            return int((self._mount / file).read_text())
        return None

    def _find_controllers(self) -> frozenset[str]:
        if self.is_v2:
            return frozenset((self._mount / "cgroup.controllers").read_text().split())
        return frozenset(c for c in _V1_CONTROLLERS if (self._mount / c).is_dir())

    def _trees(self) -> list[Path]:
        """Every tree of version 1: the engine makes folders in those without limits too."""
        return [t for t in self._mount.iterdir() if t.is_dir() and t.name != "unified"]

    def _folders(self, path: str) -> list[Path]:
        if self.is_v2:
            return [self._mount / path.lstrip("/")]
        trees = [c for c in _V1_CONTROLLERS if c in self.controllers]
        return [self._mount / tree / path.lstrip("/") for tree in trees]

    def _make(self, folder: Path) -> None:
        """Make it and its parents, each ready to have children with limits."""
        if folder.exists():
            return
        self._make(folder.parent)
        if self.is_v2:
            wanted = " ".join(f"+{c}" for c in _V2_CONTROLLERS if c in self.controllers)
            with contextlib.suppress(OSError):
                (folder.parent / "cgroup.subtree_control").write_text(wanted)
        folder.mkdir(exist_ok=True)
        if (self._mount / "cpuset") in folder.parents and not self.is_v2:
            for name in ("cpuset.cpus", "cpuset.mems"):
                (folder / name).write_text((folder.parent / name).read_text())

    def _v1_settings(self, path: str, resources: Resources) -> Iterable[tuple[Path, str]]:
        cpu, memory = self._mount / f"cpu{path}", self._mount / f"memory{path}"
        yield cpu / "cpu.shares", str(resources.cpu_shares)
        yield cpu / "cpu.cfs_quota_us", str(resources.cpu_quota or -1)
        yield memory / "memory.limit_in_bytes", str(resources.memory or -1)

    def _v2_settings(self, path: str, resources: Resources) -> Iterable[tuple[Path, str]]:
        folder = self._mount / path.lstrip("/")
        yield folder / "cpu.weight", str(weight(resources.cpu_shares))
        yield folder / "cpu.max", f"{resources.cpu_quota or 'max'} {CPU_PERIOD}"
        yield folder / "memory.max", str(resources.memory or "max")


def least_oom_score() -> int:
    """The lowest OOM score this process may give to another."""
    status = Path("/proc/self/status").read_text()
    rights = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    if int(rights.split()[1], 16) >> _CAP_SYS_RESOURCE & 1:
        return -1000
    return int(Path("/proc/self/oom_score_adj").read_text())


def weight(shares: int) -> int:
    """Version 2's cpu.weight (1 to 10,000) for version 1's shares (2 to 262,144)."""
    return 1 + ((shares - 2) * 9999) // 262_142


def oom_kills(descriptor: int) -> int:
    """The count in an open oom_file; 0 when the cgroup is gone."""
    try:
        text = os.pread(descriptor, 1000, 0).decode()
    except OSError as gone:
        if gone.errno == errno.ENODEV:
            return 0
        raise
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0


def _remove_tree(folder: Path) -> None:
    for inside, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(inside).rmdir()
