"""`k3py server`: the control plane, and a node beside it."""

from typing import Any

import click

from k3py.cli import settings
from k3py.daemon.config import ServerConfig


@click.command()
@settings.options_of(ServerConfig)
def server(config_file: str, **flags: Any) -> None:
    """Run the control plane, and pods, on this machine.

    Everything a cluster needs starts with this one command. Other machines join it with
    'k3py agent'; what they need to know is printed by 'k3py status'.
    """
    from k3py.base import threads

    config = settings.read(ServerConfig, config_file, flags)
    threads.use_greenlets()
    from k3py.daemon import server as daemon

    daemon.run(config)
