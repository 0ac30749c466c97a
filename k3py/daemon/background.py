"""k3py as a background process, where no init system looks after it."""

from pathlib import Path

from k3py.base import clock, commands
from k3py.cluster.layout import Layout
from k3py.daemon import processes
from k3py.daemon.agent import container_service
from k3py.node.runtime.runtime import POD_UID

_LOG_LIMIT = 10 << 20
_GRACE_SECONDS = 10


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
    for _ in range(8):  # it claims its pid file within a second of starting
        if processes.running(_pid_file(role)):
            return ""
        pause()
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-5:]) or "it is not running, and its log is empty"


def stop() -> bool:
    """End server and agent; whether either ran."""
    server = processes.terminate(Layout().server_pid, seconds=20)
    agent = processes.terminate(Layout().agent_pid, seconds=10)
    return server or agent


def stop_containers(data: Path) -> int:
    """Stop every container of this node's pods; how many ran."""
    from podman import PodmanClient

    service = container_service(Layout(data=data))
    service.ensure()
    with PodmanClient(base_url=f"unix://{service.socket}") as engine:
        running = engine.containers.list(filters={"label": [POD_UID]})
        for container in running:
            container.stop(timeout=_GRACE_SECONDS)
    return len(running)


def pause() -> None:
    clock.sleep(0.25)


def _pid_file(role: str) -> Path:
    return Layout().server_pid if role == "server" else Layout().agent_pid


def _rotate(log: Path) -> None:
    """One older log is kept, so that a log never fills the card."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))
