"""`k3py start` and `k3py stop`: k3py in the background, by systemd where it runs."""

import os
import shutil
import time
from pathlib import Path

import click

from k3py.cli import settings

UNIT = Path("/etc/systemd/system/k3py.service")
LOG = Path("/var/log/k3py.log")


@click.command()
@click.option(
    "--seconds", default=90, show_default=True, help="How long to wait until it is ready."
)
@click.option("--config", "-c", "config_file", default=settings.DEFAULT_FILE, metavar="FILE")
def start(seconds: int, config_file: str) -> None:
    """Start k3py in the background and wait until this node is ready.

    With 'server: URL' in the configuration it is an agent of that server, otherwise a server.
    """
    from k3py.daemon import background, condition, preflight
    from k3py.daemon.config import ServerConfig

    preflight.check_root()
    config = settings.read(ServerConfig, config_file, {})
    role = "agent" if config.server else "server"
    if _systemd():
        from k3py.base import commands

        commands.run("systemctl", "start", "k3py", timeout=seconds)
    elif not background.start(role, config_file, LOG):
        click.echo("k3py is running already.")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ended := background.ended_early(role, LOG):
            if _systemd():
                ended = "see: journalctl -u k3py -n 20"
            raise click.ClickException(f"k3py ended:\n{ended}")
        if condition.node_is_ready(config):
            click.echo(f"Node {config.name} is ready.")
            return
        background.pause()
    raise click.ClickException(
        f"node {config.name} is not ready after {seconds} s. See: k3py status, and {LOG}"
    )


@click.command()
@click.option("--containers", is_flag=True, help="Stop this node's containers too.")
@click.option("--config", "-c", "config_file", default=settings.DEFAULT_FILE, metavar="FILE")
def stop(containers: bool, config_file: str) -> None:
    """Stop k3py on this machine. Containers run on unless told otherwise."""
    from k3py.daemon import background, preflight
    from k3py.daemon.config import ServerConfig

    preflight.check_root()
    data = settings.read(ServerConfig, config_file, {}).data

    if _systemd():
        from k3py.base import commands

        commands.run("systemctl", "stop", "k3py", timeout=60)
    stopped = background.stop()
    click.echo("k3py is stopped." if stopped or _systemd() else "k3py was not running.")
    if containers:
        click.echo(f"{background.stop_containers(data)} containers stopped.")


def _systemd() -> bool:
    running = Path("/run/systemd/system").is_dir() and shutil.which("systemctl")
    return bool(running) and UNIT.exists() and os.geteuid() == 0
