"""The programs a lab needs from the distribution, and how to get those that are missing."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from k3py.base import commands, files
from k3py.lab import busybox

# program: the Debian package that has it
PROGRAMS = {
    "busybox": "busybox-static",
    "catatonit": "catatonit",
    "conmon": "conmon",
    "conntrack": "conntrack",
    "crun": "crun",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "modprobe": "kmod",
    "netavark": "netavark",
    "nft": "nftables",
    "podman": "podman",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/podman"
# Services that these packages start, which nobody asked for.
SERVICES = {"docker-registry": "docker-registry", "openssh-server": "ssh"}
POLICY = Path("/usr/sbin/policy-rc.d")
APT_SECONDS = 900.0


class PackagesMissing(Exception):
    """Programs are missing, and were not to be installed or could not be."""


def missing() -> list[str]:
    """The packages whose programs are not here."""
    wanted = {
        package for program, package in PROGRAMS.items() if not shutil.which(program, path=PATH)
    }
    if busybox.PROGRAM.exists() and not busybox.is_static():
        wanted.add("busybox-static")
    return sorted(wanted)


def ensure(*, install: bool, say: Callable[[str], None]) -> None:
    """Install what is missing, saying so first. Raises PackagesMissing."""
    wanted = missing()
    if not wanted:
        return
    names = " ".join(wanted)
    if not install:
        raise PackagesMissing(f"these packages are missing: apt-get install {names}")
    say(f"Installing with apt-get: {names}")
    try:
        _install(wanted)
    except commands.CommandFailed as failed:
        raise PackagesMissing(f"could not install {names}: {failed}") from failed


def _install(packages: list[str]) -> None:
    env = {**commands.clean_environment(), "DEBIAN_FRONTEND": "noninteractive"}
    quiet = not POLICY.exists()
    if quiet:
        files.write(POLICY, "#!/bin/sh\nexit 101\n", mode=0o755)
    try:
        commands.run("apt-get", "update", "-q", timeout=APT_SECONDS, env=env)
        commands.run(
            *("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages),
            timeout=APT_SECONDS,
            env=env,
        )
    finally:
        if quiet:
            POLICY.unlink()
    if Path("/run/systemd/system").is_dir() and quiet:
        for package in set(packages) & set(SERVICES):
            commands.run("systemctl", "disable", SERVICES[package])


def load_modules() -> None:
    """Ask for the kernel modules that nodes use; those built in, or absent, are no error."""
    modules = ("overlay", "bridge", "veth", "vxlan", "br_netfilter", "nf_tables", "nf_conntrack")
    for module in modules:
        with contextlib.suppress(commands.CommandFailed):
            commands.run("modprobe", "--quiet", module)


def is_root() -> bool:
    return os.geteuid() == 0
