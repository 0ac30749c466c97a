"""`k3py agent`: a node that joins a server."""

from typing import Any

import click

from k3py.cli import settings
from k3py.daemon.config import AgentConfig


@click.command()
@settings.options_of(AgentConfig)
def agent(config_file: str, **flags: Any) -> None:
    """Run pods on this machine, as a node of the cluster at --server.

    The token is in /var/lib/k3py/server/node-token on the server, or is made there by
    'k3py token create'.
    """
    config = settings.read(AgentConfig, config_file, flags)
    from k3py.daemon import agent as daemon

    daemon.run(config)
