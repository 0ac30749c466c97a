"""One lab node: a disk, a power switch, and ways in."""

import contextlib
import os
import select
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from k3py.base import clock, commands, files
from k3py.lab import boot
from k3py.lab.cgroups import Cgroup
from k3py.lab.lan import Lan

BOOT_SECONDS = 30.0
OFF_SECONDS = 30.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class NodeFailed(Exception):
    """A node did not start; the message ends with what its console shows."""


class NodeOff(Exception):
    """What was asked needs a running node."""


@dataclass
class Node:
    """`number` counts from 1. Everything lies in `folder`, so that any process can take over.

    `shown`: folders of this machine that the node sees, read-only, at the same place.
    """

    number: int
    folder: Path
    lan: Lan
    cgroup: Cgroup
    shown: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return f"pi{self.number}"

    @property
    def address(self) -> str:
        return self.lan.address(self.number)

    @property
    def init(self) -> int | None:
        """The pid, on this machine, of the node's first process; None when it is off."""
        try:
            pid = int((self.folder / "init.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self.cgroup.holds(pid) and not _is_zombie(pid) else None

    @property
    def running(self) -> bool:
        return self.init is not None

    def power_on(self) -> None:
        """Start the node; returns when its init runs. Fine when it is on already.

        Raises NodeFailed.
        """
        if self.running:
            return
        self.cgroup.make()
        script = self.folder / "boot"
        files.write(script, boot.script(self._boot()), mode=0o755, durable=False)
        hello, hello_theirs = os.pipe()
        gate_theirs, gate = os.pipe()
        try:
            with (self.folder / "console.log").open("wb") as console:
                commands.start(
                    *("/bin/bash", str(script), "outside", str(hello_theirs), str(gate_theirs)),
                    output=console.fileno(),
                    pass_fds=(hello_theirs, gate_theirs),
                ).wait()
            os.close(hello_theirs)
            os.close(gate_theirs)
            self._attend(hello, gate)
        except BaseException:
            self.power_cut()
            raise
        finally:
            os.close(hello)
            os.close(gate)

    def _attend(self, hello: int, gate: int) -> None:
        """The machine's half of the boot script's conversation."""
        deadline = clock.SYSTEM.monotonic() + BOOT_SECONDS
        pid = self._hear(hello, deadline)
        files.write(self.folder / "init.pid", pid, durable=False)
        self.lan.plug(self.number, int(pid))
        self.cgroup.settle()
        os.write(gate, b"go\n")
        if self._hear(hello, deadline) != "up":
            raise NodeFailed(f"{self.name} did not start: {self._console()}")

    def _hear(self, hello: int, deadline: float) -> str:
        """The next line of the boot script."""
        left = deadline - clock.SYSTEM.monotonic()
        ready, _, _ = select.select([hello], [], [], max(0.0, left))
        line = os.read(hello, 100).decode().strip() if ready else ""
        if not line:
            raise NodeFailed(f"{self.name} did not start: {self._console()}")
        return line

    def _console(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "console.log").read_text(errors="replace").strip()[-2000:]
        return ""

    def _boot(self) -> boot.Boot:
        trees = self.cgroup.trees
        return boot.Boot(
            name=self.name,
            address=self.address,
            gateway=self.lan.gateway,
            doors=self.cgroup.folders(),
            cgroups=[(tree.path.name, tree.options) for tree in trees if not tree.unified],
            shown=self.shown,
        )

    def power_cut(self) -> None:
        """Pull the plug: everything in the node dies at once. Fine when it is off already."""
        pid = self.init
        if pid is not None:
            self._end(pid, lambda: os.kill(pid, signal.SIGKILL))
        self._clear()

    def shut_down(self) -> None:
        """Let the node's init end everything in order; then it is off."""
        pid = self._must_run()
        self._end(pid, self._poweroff)
        self._clear()

    def _poweroff(self) -> None:
        # What init then ends may well be this very command.
        with contextlib.suppress(commands.CommandFailed):
            self.exec("busybox", "poweroff")

    def _end(self, pid: int, how: Callable[[], object]) -> None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                how()
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(OFF_SECONDS * 1000)
            finally:
                os.close(handle)

    def _clear(self) -> None:
        """What a node that is off leaves on this machine; also after a boot cut short."""
        self.cgroup.remove()
        self.lan.unplug(self.number)
        (self.folder / "init.pid").unlink(missing_ok=True)

    def destroy(self) -> None:
        """Power cut, and the disk gone too."""
        self.power_cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def exec(
        self,
        *argv: str,
        stdin: str | None = None,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a program in the node; what it prints. Raises CommandFailed, NodeOff."""
        doors = " ".join(f"'{door}'" for door in self.cgroup.doors())
        join = f'for door in {doors}; do echo 0 > "$door/cgroup.procs"; done; exec "$@"'
        inside = self.entry(argv, env or {})
        try:
            return commands.run(
                *("/bin/sh", "-c", join, "enter", *inside), stdin=stdin, timeout=timeout
            )
        except commands.CommandFailed as failed:
            # The caller knows its own command line, not the way in.
            raise commands.CommandFailed(
                (f"{self.name}:", *argv), failed.code, failed.stderr
            ) from None

    def enter(self, *argv: str) -> NoReturn:
        """Become a program in the node: this process's terminal and exit code are its own."""
        inside = self.entry(argv, {"TERM": os.environ.get("TERM", "dumb")})
        self.cgroup.join()
        os.execvpe(inside[0], inside, commands.clean_environment())  # noqa: S606

    def entry(self, argv: tuple[str, ...], env: Mapping[str, str]) -> list[str]:
        """The command line that, from a process in the node's cgroups, runs `argv` inside."""
        variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **env}.items()]
        return [
            *("nsenter", "--target", str(self._must_run()), "--mount", "--uts", "--ipc", "--net"),
            *("--pid", "--cgroup", "--root", "--wd", "--"),
            *("env", "-i", *variables, *argv),
        ]

    def path(self, inside: str) -> Path:
        """Where this machine finds a file or socket of the running node."""
        return Path(f"/proc/{self._must_run()}/root", inside.lstrip("/"))

    def _must_run(self) -> int:
        pid = self.init
        if pid is None:
            raise NodeOff(f"{self.name} is off; `k3py lab power-on {self.name}` starts it")
        return pid


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
