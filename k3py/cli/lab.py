"""k3py lab: a cluster of several nodes on this one machine."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from k3py.lab.lab import Lab


def _plainly(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the lab refuses is one line for the user, not a traceback."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        from k3py.base.commands import CommandFailed
        from k3py.lab import images, lan, node, packages, registry
        from k3py.lab.lab import LabFailed

        refusals = (
            *(LabFailed, CommandFailed, images.BadArchive, lan.NoFreeNetwork, node.NodeFailed),
            *(node.NodeOff, packages.PackagesMissing, registry.BadName, registry.RegistryFailed),
        )
        try:
            if not packages.is_root():
                raise LabFailed("the lab makes networks and disks: run it as root, with sudo")
            os.umask(0o022)  # of the nodes' disks, whatever this user's is
            return command(*args, **kwargs)
        except refusals as refusal:
            raise click.ClickException(str(refusal)) from refusal

    return guarded


def _lab(name: str) -> "Lab":
    from k3py.lab.lab import Lab

    return Lab(name, say=click.echo)


named = click.option(
    *("--name", "name"),
    default="lab",
    show_default=True,
    envvar="K3PY_LAB",
    help="Which lab, where there are several.",
)


@click.group("lab")
def lab() -> None:
    """Try a cluster of several nodes on this one Linux machine.

    Each node is a small virtual Raspberry Pi: its own network address, disk, processes and
    Podman. `k3py lab down` removes everything again.
    """


@lab.command()
@click.option("--nodes", default=3, show_default=True, help="How many; the first is the server.")
@click.option("--offline", is_flag=True, help="No way out of the lab: images come from it alone.")
@click.option("--no-install", is_flag=True, help="Do not install missing packages.")
@click.option("--plain", is_flag=True, help="Nodes without k3py on them.")
@named
@_plainly
def up(nodes: int, offline: bool, no_install: bool, plain: bool, name: str) -> None:
    """Make a cluster, or start again what of it is off."""
    from k3py.lab import packages

    packages.ensure(install=not no_install, say=click.echo)
    it = _lab(name)
    it.up(nodes, internet=not offline, start_k3py=not plain)
    option = "" if name == "lab" else f" --name {name}"
    if plain:
        click.echo(f"\nThe nodes are on. Next:\n\n    k3py lab exec{option} pi1 -- sh\n")
        return
    click.echo(
        f"\nThe cluster is ready. Next:\n\n"
        f"    k3py lab exec{option} pi1 -- k3py kubectl get nodes -o wide\n"
        f"    k3py lab kubeconfig{option} > lab.yaml && kubectl --kubeconfig lab.yaml get pods -A\n"
        f"    k3py lab power-cut{option} pi{it.settings.nodes}\n"
        f"    k3py lab down{option}\n"
    )


@lab.command()
@named
@_plainly
def down(name: str) -> None:
    """Remove the lab and all that belongs to it."""
    _lab(name).down()
    click.echo("The lab is gone.")


@lab.command()
@named
@_plainly
def kubeconfig(name: str) -> None:
    """Print the kubeconfig of the cluster's administrator."""
    click.echo(_lab(name).kubeconfig(), nl=False)


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@named
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_plainly
def execute(node: str, command: tuple[str, ...], name: str) -> None:
    """Run a command on a node: k3py lab exec pi1 -- podman ps"""
    _lab(name).node(node).enter(*command)


@lab.command("power-cut")
@named
@click.argument("node")
@_plainly
def power_cut(node: str, name: str) -> None:
    """Pull a node's plug: all of it stops at once, its disk stays."""
    it = _lab(name).node(node)
    it.power_cut()
    click.echo(f"{it.name} is off")


@lab.command("power-on")
@named
@click.argument("node")
@_plainly
def power_on(node: str, name: str) -> None:
    """Switch a node on again."""
    it = _lab(name).node(node)
    it.power_on()
    click.echo(f"{it.name} is on at {it.address}")


@lab.command()
@named
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("image", metavar="NAME:TAG")
@_plainly
def push(file: Path, image: str, name: str) -> None:
    """Put an image into the lab's registry, from a docker-archive or OCI FILE.tar."""
    _lab(name).push(file, image)
    click.echo(f"pods can now use {image}")


@lab.command("list")
@named
@_plainly
def list_nodes(name: str) -> None:
    """The nodes, their addresses, and whether they are on."""
    for node in _lab(name).nodes:
        click.echo(f"{node.name}\t{node.address}\t{'on' if node.running else 'off'}")
