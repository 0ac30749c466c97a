"""What happens between the switch and the init of a lab node: a shell script, written here.

    outside   join the node's cgroups, take new namespaces, and again:
    inside    tell our pid; wait for the gate (the network cable is plugged in meanwhile)
              mount the disk and what lies over it, pivot into it, configure the network
              tell "up"; become busybox init

The script is shell because it has to be small, must work where k3py is one frozen file,
and can be read and run by hand when a node does not start: its output is console.log.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Folders of the node's own disk.
DISK = (
    *("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "opt", "srv"),
    *("var/log", "var/tmp", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"),
)
# The machine's, with the node's changes over them. With dpkg's notes, what is installed on the
# machine is installed in the node, and apt-get there can add to it.
OVERLAYS = {"usr": "usr", "etc": "etc", "var/lib/dpkg": "dpkg"}
DEVICES = (
    *("null 1 3", "zero 1 5", "full 1 7", "random 1 8", "urandom 1 9", "tty 5 0", "kmsg 1 11"),
    *("fuse 10 229", "net/tun 10 200"),
)


@dataclass(frozen=True)
class Boot:
    """All that the script depends on.

    `doors`: the folders by which to join the node's cgroups. `cgroups`: the (folder below
    /sys/fs/cgroup, mount options) to see inside; none where the machine has version 2.
    `shown`: folders of this machine that the node sees, read-only, at the same place.
    """

    name: str
    address: str
    gateway: str
    doors: Sequence[Path]
    cgroups: Sequence[tuple[str, str]]
    shown: Sequence[Path]


def script(boot: Boot) -> str:
    """Called as `script outside HELLO GATE`, the last two being inherited file descriptors."""
    parts = [
        *_outside(boot),
        *_disk(),
        *_kernel(),
        *_cgroups(boot),
        *_devices(),
        *_shown(boot),
        *_root(boot),
        *_network(boot),
        "# Become the first process.",
        'echo up >&"$hello"',
        "exec {hello}>&- {gate}<&-",
        "exec -a init /usr/bin/busybox init",
    ]
    return "\n".join(parts) + "\n"


def _outside(boot: Boot) -> list[str]:
    doors = " ".join(shlex.quote(str(door)) for door in boot.doors)
    return [
        "#!/bin/bash",
        f"# How lab node {boot.name} starts.",
        "set -eu",
        "umask 022",
        'stage=$1 hello=$2 gate=$3 R="$(dirname "$(readlink -f "$0")")/root"',
        'if [ "$stage" = outside ]; then',
        f'    for door in {doors}; do echo 0 > "$door/cgroup.procs"; done',
        "    # Nobody's child, so that whoever switched the node on may end before it.",
        "    exec setsid --fork \\",
        "        unshare --mount --uts --ipc --net --pid --cgroup --fork --propagation private \\",
        '        /bin/bash "$0" inside "$hello" "$gate"',
        "fi",
        "# /proc is still the machine's, so it tells the pid that the machine knows us by.",
        "read -r pid _ < /proc/self/stat",
        'echo "$pid" >&"$hello"',
        'read -r _ <&"$gate"',
        "",
    ]


def _disk() -> list[str]:
    lines = ['mount --bind "$R" "$R"']
    for place, name in OVERLAYS.items():
        layers = f"lowerdir=/{place},upperdir=$R/../{name},workdir=$R/../{name}.work"
        lines.append(f'mount -t overlay -o "{layers}" overlay "$R/{place}"')
    return ["# The disk.", *lines, ""]


def _kernel() -> list[str]:
    return [
        "# What the kernel shows.",
        'mount -t proc proc "$R/proc"',
        'mount -t sysfs sysfs "$R/sys"',
        'mount -t tmpfs -o mode=755 tmpfs "$R/run"',
        'mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"',
        "",
    ]


def _cgroups(boot: Boot) -> list[str]:
    if not boot.cgroups:
        return ['mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"', ""]
    lines = ['mount -t tmpfs -o mode=755 tmpfs "$R/sys/fs/cgroup"']
    for name, options in boot.cgroups:
        folder = f'"$R/sys/fs/cgroup/{name}"'
        lines += [f"mkdir {folder}", f"mount -t cgroup -o {options} cgroup {folder}"]
        for controller in name.split(",") if "," in name else ():
            lines.append(f'ln -s {name} "$R/sys/fs/cgroup/{controller}"')
    return [*lines, ""]


def _devices() -> list[str]:
    nodes = [f'mknod -m 666 "$R/dev/{name}" c {numbers}' for name, numbers in map(_split, DEVICES)]
    return [
        "# Devices.",
        'mount -t tmpfs -o mode=755 tmpfs "$R/dev"',
        'mkdir "$R/dev/pts" "$R/dev/shm" "$R/dev/net" "$R/dev/mqueue"',
        *nodes,
        'ln -s pts/ptmx "$R/dev/ptmx"',
        'ln -s /proc/self/fd "$R/dev/fd"',
        'for i in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${i%:*}" "$R/dev/${i#*:}"; done',
        'mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"',
        'mount -t tmpfs -o mode=1777 tmpfs "$R/dev/shm"',
        'mount -t mqueue mqueue "$R/dev/mqueue"',
        "",
    ]


def _split(device: str) -> tuple[str, str]:
    name, _, numbers = device.partition(" ")
    return name, numbers


def _shown(boot: Boot) -> list[str]:
    lines = []
    for folder in boot.shown:
        source, target = shlex.quote(str(folder)), f'"$R"{shlex.quote(str(folder))}'
        lines += [
            f"mkdir -p {target}",
            f"mount --bind {source} {target}",
            f"mount -o remount,bind,ro {target}",
        ]
    return ["# The program.", *lines, ""] if lines else []


def _root(boot: Boot) -> list[str]:
    return [
        f"hostname {shlex.quote(boot.name)}",
        'cd "$R"',
        "mkdir -p .old",
        "pivot_root . .old",
        "umount -l /.old",
        "rmdir /.old",
        "# As an init would have it: what is mounted below / later shows in containers that ask.",
        "mount --make-rshared /",
        "",
    ]


def _network(boot: Boot) -> list[str]:
    return [
        "ip link set lo up",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        f"ip address add {boot.address}/24 dev eth0",
        "ip link set eth0 up",
        f"ip route add default via {boot.gateway}",
        "",
    ]
