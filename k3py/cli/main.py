"""The command tree. A command's module is imported when it is asked for, so --version is quick."""

import sys
from collections.abc import Callable

import click

from k3py import __version__


def _server() -> click.Command:
    from k3py.cli.server import server

    return server


def _agent() -> click.Command:
    from k3py.cli.agent import agent

    return agent


def _start() -> click.Command:
    from k3py.cli.service import start

    return start


def _stop() -> click.Command:
    from k3py.cli.service import stop

    return stop


def _status() -> click.Command:
    from k3py.cli.status import status

    return status


def _token() -> click.Command:
    from k3py.cli.tokens import token

    return token


def _kubectl() -> click.Command:
    from k3py.cli.kubectl.command import kubectl

    return kubectl


def _lab() -> click.Command:
    from k3py.cli.lab import lab

    return lab


# Explicit imports, in the order of --help: a packager must see what belongs to the program.
_COMMANDS: dict[str, Callable[[], click.Command]] = {
    "server": _server,
    "agent": _agent,
    "start": _start,
    "stop": _stop,
    "status": _status,
    "token": _token,
    "kubectl": _kubectl,
    "lab": _lab,
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        load = _COMMANDS.get(cmd_name)
        return load() if load else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="k3py", message="%(prog)s version v%(version)s")
def commands() -> None:
    """Kubernetes for Raspberry Pi clusters, in one executable.

    \b
    On the first Raspberry Pi:    k3py server
    It says how to join others:   k3py agent --server https://IP:6443 --token TOKEN
    Then, on the first:           k3py kubectl get nodes
    Something wrong?              k3py status
    To try it on one machine:     k3py lab up --nodes 3
    """


def main() -> None:
    """Run the command line; what a person can mend is one line and an exit code that is not 0."""
    from k3py.cli.failures import told

    try:
        commands.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except Exception as failure:
        text = told(failure)
        if text is None:
            raise
        click.echo(f"k3py: {text}", err=True)
        sys.exit(1)
