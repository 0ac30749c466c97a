"""A cluster of one lab node, and what its processes use, from /proc."""

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from k3py.api import conditions, errors, times
from k3py.api.objects import Key
from k3py.client import kubeconfig
from k3py.kinds import LEASE, NODE, POD
from k3py.kinds.core import pod as pods
from k3py.lab import packages
from k3py.lab.lab import LOG, Lab, LabFailed

LAB = "test-bench"
IMAGE = "docker.io/library/busybox:1.36"
NODE_KEY = Key("", "pi1")
LEASE_KEY = Key("kube-node-lease", "pi1")
READY_SECONDS = 60
PODS_SECONDS = 180
LOOK_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a process has used so far, and holds now: seconds and bytes."""

    pid: int
    cpu: float
    written: int
    resident: int
    proportional: int


class Machine:
    """The lab's one node, whose k3py its init starts as soon as it is on."""

    def __init__(self, lab):
        self.lab, self._client = lab, None

    @property
    def node(self):
        return self.lab.node(1)

    @property
    def client(self):
        """The administrator's, over the lab's network."""
        if self._client is None:
            file = self.lab.folder / "bench.kubeconfig"
            file.write_text(self.lab.kubeconfig())
            self._client = kubeconfig.read(file).client()
        return self._client

    def power_on_from_nothing(self):
        """A new disk, and k3py started on it."""
        self._client = None
        if self.lab.exists:
            self.node.destroy()
        self.lab.up(1, internet=False, ready=lambda lab: [node.name for node in lab.nodes])

    def reboot(self):
        self.node.shut_down()
        self.node.power_on()

    def seconds_to_ready(self):
        """From the start of the server's process to a Ready node that is alive.

        What was so before the process started does not count: its lease must be newer.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            began = _started(self.processes().get("server"))
            if began and self._is_ready(time.time() - (_now() - began)):
                return _now() - began
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"the node did not become Ready{self.log()}")

    def _is_ready(self, since):
        try:
            node = self.client.get(NODE, NODE_KEY)
            lease = self.client.get(LEASE, LEASE_KEY)
        except (errors.ApiError, OSError, LabFailed):  # LabFailed: no kubeconfig yet
            return False
        renewed = times.parse(lease["spec"]["renewTime"]).timestamp()
        return conditions.is_true(node, "Ready") and renewed > since

    def wait_for_pods(self, app, count):
        """Return once exactly `count` pods of the app exist and are Ready, as a watch tells."""
        listing = self.client.list(POD, "default", labels=f"app={app}")
        ready = {p["metadata"]["name"]: pods.is_ready(p) for p in listing.items}
        deadline = time.monotonic() + PODS_SECONDS
        watch = self.client.watch(POD, "default", since=listing.revision, labels=f"app={app}")
        with _closed_at(watch, deadline):
            events = iter(watch)
            while len(ready) != count or not all(ready.values()):
                event = next(events, None)
                if event is None:
                    shown = f"{sum(ready.values())} of {len(ready)} pods of {app} are Ready"
                    raise RuntimeError(f"{shown}, not {count}{self.log()}")
                if event.type in ("ADDED", "MODIFIED"):
                    ready[event.object["metadata"]["name"]] = pods.is_ready(event.object)
                elif event.type == "DELETED":
                    ready.pop(event.object["metadata"]["name"], None)

    def processes(self):
        """The pids, on this machine, of "server", "agent" and "podman" as far as they run."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            role = _role(folder)
            if role and self.node.cgroup.holds(int(folder.name)):
                found[role] = int(folder.name)
        return found

    def podman_socket(self):
        """Where this machine finds the socket of the node's Podman service."""
        service = Path(f"/proc/{self.processes()['podman']}/cmdline").read_text().split("\0")
        address = next(word for word in service if word.startswith("unix://"))
        return self.node.path(address.removeprefix("unix://"))

    def log(self):
        """The end of the daemons' log, to explain a failure."""
        file = self.node.folder / "root" / LOG
        return f"\n--- {LOG}\n{file.read_text(errors='replace')[-3000:]}" if file.exists() else ""


@contextmanager
def started():
    """A machine whose k3py has just been started on a new disk; nothing stays of it."""
    packages.ensure(install=False, say=lambda line: None)
    lab = Lab(LAB)
    lab.down()
    machine = Machine(lab)
    try:
        machine.power_on_from_nothing()
        yield machine
    finally:
        lab.down()


def usage(pid):
    """Raises OSError when it has ended."""
    folder = Path(f"/proc/{pid}")
    return Usage(
        pid,
        time.clock_gettime(_cpu_clock(pid)),
        _field(folder / "io", "write_bytes"),
        _field(folder / "status", "VmRSS") * 1024,
        _field(folder / "smaps_rollup", "Pss") * 1024,
    )


def deployment(name, replicas):
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "36000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


@contextmanager
def _closed_at(watch, deadline):
    timer = Timer(max(0, deadline - time.monotonic()), watch.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        watch.close()


def _role(folder):
    try:
        words = (folder / "cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if "k3py" in words and (role := {"server", "agent"} & set(words)):
        # An agent's own words name its --server by a flag, never as a bare word.
        return role.pop()
    name = words[0].rpartition("/")[2]
    return "podman" if name == "podman" and "service" in words else ""


def _started(pid):
    """When it began, in seconds since the machine's boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19]) / _TICKS


def _cpu_clock(pid):
    """The kernel's clock of a process's own processor time: /proc/PID/stat counts only in ticks."""
    return ~pid << 3 | 2


def _now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _field(file, name):
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise LookupError(f"{file} has no {name}")
