"""What must be true of a machine before k3py starts on it, each with how to mend it."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from k3py.base import commands

CGROUP = Path("/sys/fs/cgroup")
# Where programs are looked for, too: root's PATH may be a user's.
_BESIDE_PATH = ("/usr/sbin", "/sbin", "/usr/libexec/podman", "/usr/lib/podman")
_TOO_FULL = 64 << 20
_KUBELET_PORT = 10250


class Obstacle(NamedTuple):
    """Something that keeps k3py from starting: what is wrong, and how to mend it."""

    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.problem}. {self.fix}"


class NotReady(Exception):
    """The machine is not ready; `obstacles` say why."""

    def __init__(self, obstacles: list[Obstacle]) -> None:
        super().__init__("\n".join(map(str, obstacles)))
        self.obstacles = obstacles


def check_root() -> None:
    """Raises NotReady when this is not root: nothing else can be told then."""
    _raise(list(_root()))


def check_server(*, address: str, port: int, data: Path, runs_pods: bool) -> None:
    """Raises NotReady when the control plane cannot run here, or the pods beside it.

    Of the latter what is quickly seen: the agent looks at the rest when it starts.
    """
    beside = [*_programs(), *_cgroups()] if runs_pods else []
    _raise([*_port_taken(address, port), *_disk(data), *beside])


def check_agent(*, data: Path, port: int = _KUBELET_PORT) -> None:
    """Raises NotReady when pods cannot run here."""
    programs = list(_programs())
    kernel = [] if programs else list(_kernel())  # is asked by means of them
    _raise([*programs, *_cgroups(), *kernel, *_port_taken("", port), *_disk(data)])


def _raise(obstacles: list[Obstacle]) -> None:
    if obstacles:
        raise NotReady(obstacles)


def _root() -> Iterator[Obstacle]:
    if os.geteuid() != 0:
        yield Obstacle("this must run as root", "Put sudo before the command")


def missing_packages(path: str) -> list[str]:
    """Of the packages that pods need, those whose programs are not in the folders of `path`."""
    packages = {
        "podman": "podman",
        "crun": "crun",
        "nft": "nftables",
        "conmon": "conmon",
        "ip": "iproute2",
    }
    return [package for name, package in packages.items() if not shutil.which(name, path=path)]


def _programs() -> Iterator[Obstacle]:
    missing = missing_packages(os.pathsep.join((os.environ.get("PATH", ""), *_BESIDE_PATH)))
    if missing:
        yield Obstacle(
            f"not installed: {', '.join(missing)}",
            f"Run: apt-get install -y --no-install-recommends {' '.join(missing)}",
        )


def _cgroups() -> Iterator[Obstacle]:
    fix = (
        "Add cgroup_enable=memory to the end of the one line in /boot/firmware/cmdline.txt "
        "(/boot/cmdline.txt before Debian 12) and reboot"
    )
    controllers = CGROUP / "cgroup.controllers"
    if controllers.exists():
        here = controllers.read_text().split()
        missing = [name for name in ("cpu", "memory", "pids") if name not in here]
        if missing:
            yield Obstacle(f"the kernel has no {', '.join(missing)} cgroup controller", fix)
    elif not (CGROUP / "memory").is_dir():
        yield Obstacle("there is no memory cgroup controller", fix)


def _kernel() -> Iterator[Obstacle]:
    """Features that may be modules are asked for by using them, in a throw-away name."""
    probes = {
        "vxlan": ("ip", "link", "add", "k3py-probe", "type", "vxlan", "id", "16777214",
                  "dstport", "0"),
        "veth": ("ip", "link", "add", "k3py-probe", "type", "veth", "peer", "name", "k3py-probe1"),
    }  # fmt: skip
    if Path("/sys/class/net/flannel.1").exists():
        del probes["vxlan"]
    for feature, argv in probes.items():
        if not _succeeds(*argv):
            yield Obstacle(
                f"the kernel cannot make {feature} interfaces",
                f"Run: modprobe {feature}; on Raspberry Pi OS install linux-modules-extra or "
                "update the kernel (apt-get full-upgrade) and reboot",
            )
        _succeeds("ip", "link", "del", "k3py-probe")
    if not _succeeds("nft", "list", "tables"):
        yield Obstacle(
            "the kernel has no nftables", "Run: modprobe nf_tables, or update the kernel"
        )


def _port_taken(address: str, port: int) -> Iterator[Obstacle]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as failure:
            if failure.errno == errno.EADDRNOTAVAIL:
                yield Obstacle(
                    f"{address} is not an address of this machine",
                    "Give --bind-address one that it has, or leave it out to listen on all",
                )
                return
            fix = "Stop what uses it"
            if port != _KUBELET_PORT:
                fix += ", or choose another with --https-listen-port"
            yield Obstacle(
                f"TCP port {port} cannot be listened on: {failure.strerror}{_holder(port)}", fix
            )


def _holder(port: int) -> str:
    """Who listens on `port`, as far as `ss` can tell."""
    try:
        lines = commands.run("ss", "-Hltnp", f"sport = :{port}", timeout=5).splitlines()
    except commands.CommandFailed:
        return ""
    users = [line.partition("users:")[2] for line in lines if "users:" in line]
    return f", used by {users[0].strip('()')}" if users else ""


def _disk(data: Path) -> Iterator[Obstacle]:
    folder = data
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < _TOO_FULL:
        yield Obstacle(
            f"the disk of {data} is full ({free >> 20} MiB free)",
            f"Free at least {_TOO_FULL >> 20} MiB",
        )


def _succeeds(*argv: str) -> bool:
    try:
        commands.run(*argv, timeout=10)
    except commands.CommandFailed:
        return False
    return True
