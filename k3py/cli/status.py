"""`k3py status`: what runs and what is wrong."""

import json
import sys

import click

from k3py.cli import settings


@click.command()
@click.option("--config", "-c", "config_file", default=settings.DEFAULT_FILE, metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(config_file: str, as_json: bool) -> None:
    """Say in plain words what runs here and what is wrong. Exit code 1 when something is."""
    from k3py.daemon import condition, joining_line
    from k3py.daemon.config import ServerConfig

    config = settings.read(ServerConfig, config_file, {})
    found = list(condition.findings(config))
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in found], indent=2))
    else:
        width = max((len(finding.subject) for finding in found), default=0)
        for finding in found:
            mark = click.style("ok", fg="green") if finding.well else click.style("!!", fg="red")
            click.echo(f"{mark}  {finding.subject:<{width}}  {finding.sentence}")
            if finding.fix:
                click.echo(f"    {'':<{width}}  → {finding.fix}")
        if line := joining_line.text(config):
            click.echo(f"\nTo add a machine, run there:\n  {line}")
    sys.exit(0 if all(finding.well for finding in found) else 1)
