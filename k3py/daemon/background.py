"""k3py as a background process, where no init system looks after it."""

import contextlib
import os
import signal
from pathlib import Path

from k3py.base import clock, commands
from k3py.cluster.layout import Layout
from k3py.daemon import processes

LAYOUT = Layout()
_LOG_LIMIT = 10 << 20


def start(role: str, config_file: str, log: Path) -> bool:
    """Start `k3py server` or `k3py agent`; False when it runs already."""
    if processes.running(_pid_file(role)):
        return False
    _rotate(log)
    with log.open("ab") as output:
        commands.start(
            *processes.executable(), role, "--config", config_file, output=output.fileno(), cwd="/"
        )
    pause()
    return True


def ended_early(role: str, log: Path) -> str:
    """What the process said last, when it is not there any more; empty while it runs."""
    for _ in range(20):  # it claims its pid file within a second of starting
        if processes.running(_pid_file(role)):
            return ""
        pause()
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-5:]) or "it is not running, and its log is empty"


def stop() -> bool:
    """End server and agent; whether either ran."""
    server = processes.terminate(LAYOUT.server_pid, seconds=20)
    agent = processes.terminate(LAYOUT.agent_pid, seconds=10)
    return server or agent


def stop_containers() -> int:
    """Kill the containers of this node, found by their cgroups; how many processes there were."""
    root = Path("/sys/fs/cgroup")
    killed: set[int] = set()
    for pattern in ("k3py/**/cgroup.procs", "*/k3py/**/cgroup.procs"):  # cgroup v2, v1
        for procs in root.glob(pattern):
            killed.update(map(int, procs.read_text().split()))
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(killed)


def pause() -> None:
    clock.sleep(0.1)


def _pid_file(role: str) -> Path:
    return LAYOUT.server_pid if role == "server" else LAYOUT.agent_pid


def _rotate(log: Path) -> None:
    """One older log is kept, so that a log never fills the card."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))
