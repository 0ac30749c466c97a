"""`k3py kubectl`: the machine's own kubectl with the right kubeconfig, or a small one built in."""

import os
import shutil
import sys
from pathlib import Path

import click

from k3py.cluster.layout import Layout


class _AsGiven(click.Command):
    """Its arguments are somebody else's: none is understood or lost here, not even `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["arguments"] = tuple(args)
        return []


@click.command(cls=_AsGiven, add_help_option=False)
def kubectl(arguments: tuple[str, ...]) -> None:
    """Run kubectl on this cluster (a small one is built in where there is none)."""
    program = real_kubectl()
    if program:
        os.execve(program, ["kubectl", *arguments], _environment())  # noqa: S606
    from k3py.cli.kubectl.builtin import builtin

    builtin.main(args=list(arguments), prog_name="k3py kubectl", standalone_mode=False)


def real_kubectl() -> str:
    """The kubectl on the PATH that is not k3py itself; empty when there is none."""
    own = Path(sys.argv[0]).resolve()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("kubectl", path=folder)
        if found and Path(found).resolve() != own:
            return found
    return ""


def _environment() -> dict[str, str]:
    """The caller's own KUBECONFIG counts; else the server's, where there is one."""
    from k3py.base import commands

    env = commands.clean_environment()
    if "KUBECONFIG" not in env and Layout().kubeconfig.exists():
        env["KUBECONFIG"] = str(Layout().kubeconfig)
    return env
