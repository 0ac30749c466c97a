"""`k3py token`: who may join."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from k3py.cluster import tokens


@click.group()
@click.option(
    "--kubeconfig", default="", metavar="FILE", help="Whose cluster (default: the server's own)."
)
@click.pass_context
def token(ctx: click.Context, kubeconfig: str) -> None:
    """Make, list and delete the tokens with which nodes join."""
    from k3py.daemon import access

    def opened() -> tokens.BootstrapTokens:
        connection = access.connect(Path(kubeconfig) if kubeconfig else None)
        return tokens.BootstrapTokens(connection.client, connection.ca_hash)

    ctx.obj = opened


@token.command()
@click.option(
    "--ttl",
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="How long it is valid; 0: for ever.",
)
@click.option("--description", default="", help="What the token is for.")
@click.pass_context
def create(ctx: click.Context, ttl: float, description: str) -> None:
    """Create a token and print it."""
    if ttl < 0:
        raise click.BadParameter("must not be negative", param_hint="--ttl")
    life = timedelta(hours=ttl) if ttl else None
    click.echo(ctx.obj().create(life, description, now=datetime.now(UTC)))


@token.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the tokens; their secrets are not shown."""
    from k3py.api import times

    now, every = datetime.now(UTC), ctx.obj().all()
    click.echo(f"{'TOKEN':<10}{'TTL':<12}{'EXPIRES':<24}DESCRIPTION")
    for found in every:
        if found.expires is None:
            ttl, expires = "<forever>", "<never>"
        else:
            left = found.expires > now
            ttl = times.age(now, found.expires) if left else "<expired>"
            expires = times.stamp(found.expires)
        click.echo(f"{found.id:<10}{ttl:<12}{expires:<24}{found.description}")


@token.command()
@click.argument("tokens_", metavar="TOKEN...", nargs=-1, required=True)
@click.pass_context
def delete(ctx: click.Context, tokens_: tuple[str, ...]) -> None:
    """Delete tokens, by id or whole; nodes that joined with them stay."""
    from k3py.api import errors

    existing = ctx.obj()
    for text in tokens_:
        try:
            existing.delete(text)
        except errors.NotFound:
            raise click.ClickException(f"there is no token {text}; see 'k3py token list'") from None
        click.echo(f"deleted {text.partition('.')[0]}")
