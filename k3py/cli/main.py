"""The command tree. Each command imports what it needs when it runs, so that --version is quick."""

import click

from k3py import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="k3py", message="%(prog)s version v%(version)s")
def main() -> None:
    """Kubernetes for Raspberry Pi clusters, in one executable."""
