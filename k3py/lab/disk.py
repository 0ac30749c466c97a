"""What is on a new node's disk: its identity, its settings, and the jobs of its init.

A disk is a folder: `root` becomes /, the folders of boot.OVERLAYS hold the node's changes
to what it has from this machine, such as /usr and /etc. Everything that makes the node
itself lies here and so outlives a power cut; /run and /tmp are memory and do not.
"""

import os
import pwd
import resource
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k3py.base import commands, files
from k3py.lab import boot

# A node must not see what this machine has in these.
OWN_ETC = ("k3py", "containers", "cni", "ssh", "lab")
LOG_LIMIT = 20_000_000  # bytes of /var/log/k3py.log, and as many of the older half
REGISTRIES = (
    *("docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.k8s.io", "k8s.gcr.io"),
    *("mcr.microsoft.com", "public.ecr.aws", "lscr.io"),
)
SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UsePAM no
PrintMotd no
PidFile none
Subsystem sftp internal-sftp
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


@dataclass(frozen=True)
class Disk:
    """`role`: "server" or "agent"; "" for a node that runs no k3py."""

    folder: Path
    name: str
    role: str
    registry: str
    internet: bool
    resolvers: Sequence[str]
    public_key: str
    command: str

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    def make(self) -> None:
        """Everything but the program may stay from before; a half-made disk is made again."""
        for name in (*boot.DISK, *boot.OVERLAYS):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "root").chmod(0o700)
        for name in ("tmp", "var/tmp"):
            (self.root / name).chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib32", "lib64"):
            if Path("/", name).is_symlink():
                _link(self.root / name, f"usr/{name}")
        _link(self.root / "var/run", "/run")
        _link(self.root / "var/lock", "/run/lock")
        for name in boot.OVERLAYS.values():
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / f"{name}.work").mkdir(exist_ok=True)
        for name in ("bin", "sbin"):
            (self.folder / "usr/local" / name).mkdir(parents=True, exist_ok=True)
        for name in OWN_ETC:
            folder = self.etc / name
            folder.mkdir(parents=True, exist_ok=True)
            os.setxattr(folder, "trusted.overlay.opaque", b"y")
        self._write_settings()
        self._write_identity()
        self._write_jobs()

    def _write_settings(self) -> None:
        write = self._etc
        write("hostname", f"{self.name}\n")
        write("hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost\n")
        write("resolv.conf", "".join(f"nameserver {r}\n" for r in self.resolvers))
        write("containers/registries.conf", registries(self.registry, internet=self.internet))
        write("containers/policy.json", POLICY)
        write("containers/containers.conf", _containers())
        write("ssh/sshd_config", SSHD)
        # This machine's password hashes are nobody's business here; "*" still allows keys.
        shadow = "".join(f"{user.pw_name}:*:19000:0:99999:7:::\n" for user in pwd.getpwall())
        write("shadow", shadow, mode=0o640)

    def _write_identity(self) -> None:
        if not (self.etc / "machine-id").exists():
            self._etc("machine-id", f"{uuid.uuid4().hex}\n")
        key = self.etc / "ssh/ssh_host_ed25519_key"
        if not key.exists():
            commands.run(
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)
            )
        keys = self.root / "root/.ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        files.write_private(keys, self.public_key)

    def _write_jobs(self) -> None:
        self._etc("lab/start", "#!/bin/sh\nmkdir -p /run/sshd /run/lock\n", mode=0o755)
        jobs = ["::sysinit:/etc/lab/start", "::respawn:/usr/sbin/sshd -D"]
        if self.role:
            files.write(self.folder / "usr/local/bin/k3py", self.command, mode=0o755)
            self._etc("lab/k3py", _daemon(self.role), mode=0o755)
            self._etc("lab/bound-log", BOUND_LOG, mode=0o755)
            jobs += ["::respawn:/etc/lab/k3py", "::respawn:/etc/lab/bound-log"]
        self._etc("inittab", "".join(f"{job}\n" for job in jobs))
        for name in ("reboot", "poweroff", "halt"):  # systemd's would ask a systemd
            _link(self.folder / "usr/local/sbin" / name, "/usr/bin/busybox")

    def configure(self, settings: dict[str, str]) -> None:
        """Write /etc/k3py/config.yaml; it is read when k3py next starts."""
        text = "".join(f'{name}: "{value}"\n' for name, value in settings.items())
        files.write_private(self.etc / "k3py/config.yaml", text)

    def _etc(self, name: str, text: str, *, mode: int = 0o644) -> None:
        files.write(self.etc / name, text, mode=mode, durable=False)


def registries(address: str, *, internet: bool) -> str:
    """registries.conf: unmodified names are looked up in the lab's registry, under the
    name of their own registry; where there is internet, in that one next."""
    parts = ['unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n']
    for name in REGISTRIES:
        mine = f'location = "{address}/{name}"\ninsecure = true\n'
        if internet:
            parts.append(f'[[registry]]\nlocation = "{name}"\n[[registry.mirror]]\n{mine}')
        else:
            parts.append(f'[[registry]]\nprefix = "{name}"\n{mine}')
    return "\n".join(parts)


def _containers() -> str:
    # Podman would raise these to more than a machine without CAP_SYS_RESOURCE may give.
    files_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limits = [f'"nofile={files_limit}:{files_limit}"'] if files_limit > 0 else []
    limits += [f'"nproc={processes}:{processes}"'] if processes > 0 else []
    return (
        f"[containers]\ndefault_ulimits = [{', '.join(limits)}]\n"
        '[engine]\nruntime = "crun"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[network]\nnetwork_backend = "netavark"\n'
    )


def _daemon(role: str) -> str:
    return (
        "#!/bin/sh\n"
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        "export HOME=/root LANG=C.UTF-8\n"
        "exec </dev/null >>/var/log/k3py.log 2>&1\n"
        f"exec k3py {role}\n"
    )


# The daemons append, so the file may be emptied under them.
BOUND_LOG = f"""\
#!/bin/sh
log=/var/log/k3py.log
while sleep 60; do
    [ "$(stat -c %s $log 2>/dev/null || echo 0)" -gt {LOG_LIMIT} ] || continue
    cp $log $log.1 && : > $log
done
"""


def _link(path: Path, target: str) -> None:
    if not path.is_symlink():
        path.symlink_to(target)
