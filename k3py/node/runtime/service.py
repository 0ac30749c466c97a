"""k3py's own Podman service: its own storage and settings, started when it is needed.

It has a session of its own, so it outlives the agent, and it ends by itself when nobody has
asked it for a minute: containers do not need it, and an idle Pi keeps the memory.
"""

import contextlib
import os
import resource
import shutil
import socket
import subprocess  # noqa: TID251  only for the type of what base.commands started
import threading
from pathlib import Path

from k3py.base import clock, commands, files
from k3py.base.log import Log
from k3py.node import mounts
from k3py.node.runtime.runtime import Unreachable

READY_SECONDS = 30.0
IDLE_SECONDS = 60
EXIT_DELAY_SECONDS = 10
MOST_OPEN_FILES = 1_048_576
REGISTRIES = Path("/etc/containers/registries.conf")
_PID_MAX = Path("/proc/sys/kernel/pid_max")
_UNIFIED = Path("/sys/fs/cgroup/unified")

log = Log("k3py.node.runtime")


class Service:
    """`root` keeps images and containers, `run` what a reboot may forget.

    `registries`: the machine's own registries.conf, or another.
    """

    def __init__(
        self,
        root: Path,
        run: Path,
        *,
        program: str = "podman",
        registries: Path = REGISTRIES,
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        self._root, self._run, self._program = root, run, program
        self._registries, self._idle = registries, idle_seconds
        self._lock = threading.Lock()  # one start at a time
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False
        self.socket = run / "podman.sock"

    def ensure(self) -> None:
        """Return once somebody listens on the socket. Raises Unreachable."""
        with self._lock:
            if _listens(self.socket):
                return
            self._reap()
            try:
                self._start()
            except (OSError, commands.CommandFailed) as failed:
                raise Unreachable(f"podman cannot be started: {failed}") from failed
            self._await()

    def close(self) -> None:
        """End the service, not the containers. For tests and for uninstalling."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.terminate()
                self._process.wait(10)
            self._process = None

    def environment(self) -> dict[str, str]:
        """What a podman command needs to work on the same storage."""
        return {
            **commands.clean_environment(),
            "CONTAINERS_CONF": str(self._run / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self._run / "registries.conf"),
            "TMPDIR": str(self._root / "tmp"),
        }

    def arguments(self) -> tuple[str, ...]:
        return (
            self._program,
            "--root",
            str(self._root / "storage"),
            "--runroot",
            str(self._run / "containers"),
        )

    def _start(self) -> None:
        self._prepare()
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        serve = (*self.arguments(), "system", "service", "-t", str(self._idle))
        command = (*_wrapper(), *serve, f"unix://{self.socket}")
        output = os.open(self._run / "podman.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = commands.start(*command, output=output, env=self.environment())
        finally:
            os.close(output)
        log.debug("podman service started", pid=self._process.pid)

    def _prepare(self) -> None:
        if self._prepared:
            return
        for folder in (self._root / "storage", self._root / "tmp", self._run / "containers"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        if _mixed_cgroups():
            # The service will live in a mount namespace of its own, see _wrapper; what it
            # mounts must still be seen by the next one, and by us.
            mounts.share(self._root)
            mounts.share(self._run)
        files.write(self._run / "containers.conf", self._settings(), durable=False)
        files.write(self._run / "registries.conf", registries(self._registries), durable=False)
        self._prepared = True

    def _settings(self) -> str:
        return settings(
            tmp=self._run / "libpod",
            open_files=_at_most(resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
            # Podman lowers its own limit to this before it starts anything.
            processes=_at_most(resource.RLIMIT_NPROC, int(_PID_MAX.read_text())),
        )

    def _await(self) -> None:
        deadline = clock.SYSTEM.monotonic() + READY_SECONDS
        delay = 0.004
        while not _listens(self.socket):
            if self._process is None or self._process.poll() is not None:
                raise Unreachable(f"podman ended at once: {self._last_words()}")
            if clock.SYSTEM.monotonic() > deadline:
                raise Unreachable(f"podman is not ready after {READY_SECONDS:g} s")
            clock.sleep(delay)
            delay = min(0.1, delay * 1.5)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return (self._run / "podman.log").read_text(errors="replace").strip()[-500:]
        return "it left no message"

    def _reap(self) -> None:
        if self._process:
            self._process.poll()


def settings(*, tmp: Path, open_files: int, processes: int) -> str:
    """The text of containers.conf.

    The limits are no higher than our own, because raising them needs a right that a
    container or a test node may lack. Locks are files under `tmp`, because those in shared
    memory would be one set for every Podman of the machine. The monitor of a command that
    was executed lives on for the delay, for whoever asks how it ended: by Podman's own choice
    for five minutes, which would be many monitors where a probe executes something.
    """
    return f"""\
[containers]
default_ulimits = ["nofile={open_files}:{open_files}", "nproc={processes}:{processes}"]
pids_limit = 0
log_driver = "k8s-file"
log_size_max = -1
http_proxy = false

[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
exit_command_delay = {EXIT_DELAY_SECONDS}
lock_type = "file"
tmp_dir = "{tmp}"

[network]
network_backend = "netavark"
"""


def registries(machine: Path) -> str:
    """The text of registries.conf: the machine's, with docker.io for short names."""
    try:
        text = machine.read_text()
    except FileNotFoundError:
        text = ""
    named = any(line.startswith("unqualified-search-registries") for line in text.splitlines())
    return text if named else 'unqualified-search-registries = ["docker.io"]\n' + text


def _wrapper() -> tuple[str, ...]:
    """What must stand before the command on a machine that mixes cgroup versions.

    crun works with version 1 or version 2, and with both mounted only when version 2 has no
    controllers; out of its sight, version 1 alone will do.
    """
    if not _mixed_cgroups():
        return ()
    if not shutil.which("unshare"):
        raise FileNotFoundError("unshare: not found (package util-linux)")
    hide = f'mount --make-rprivate /sys && umount {_UNIFIED} && exec "$@"'
    return ("unshare", "--mount", "--propagation", "unchanged", "sh", "-c", hide, "sh")


def _mixed_cgroups() -> bool:
    try:
        return bool((_UNIFIED / "cgroup.controllers").read_text().split())
    except OSError:
        return False


def _at_most(limit: int, most: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True
