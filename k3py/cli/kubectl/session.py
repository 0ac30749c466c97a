"""What the built-in commands share: which cluster, which namespace, which kind."""

from dataclasses import dataclass
from pathlib import Path

import click

from k3py import kinds
from k3py.api.kind import Kind
from k3py.client import kubeconfig
from k3py.client.remote import RemoteClient
from k3py.daemon import access


@dataclass(frozen=True)
class Session:
    client: RemoteClient
    namespace: str

    def namespace_of(self, kind: Kind, *, everywhere: bool = False) -> str:
        return self.namespace if kind.namespaced and not everywhere else ""


def opened(path: str, namespace: str) -> Session:
    """Raises kubeconfig.Unusable."""
    found = kubeconfig.read(Path(path) if path else access.default_kubeconfig())
    return Session(found.client(agent="k3py-kubectl"), namespace or found.namespace)


def kind_of(word: str) -> Kind:
    """The kind that a word on the command line means: deployments, deploy, Deployment.apps."""
    asked = word.lower()
    for kind in kinds.ALL:
        names = {kind.plural, kind.singular, *kind.short_names}
        if not kind.virtual and asked in names | {f"{n}.{kind.group}" for n in names if kind.group}:
            return kind
    raise click.ClickException(f'the server doesn\'t have a resource type "{word}"')


def kind_of_object(api_version: str, name: str) -> Kind:
    for kind in kinds.ALL:
        if (kind.api_version, kind.kind) == (api_version, name):
            return kind
    raise click.ClickException(f'no matches for kind "{name}" in version "{api_version}"')


_EVERYDAY = (kinds.POD, kinds.SERVICE, kinds.DEPLOYMENT, kinds.REPLICA_SET)


def targets(arguments: tuple[str, ...]) -> list[tuple[Kind, str]]:
    """`pod web db`, `pod/web deploy/db`, `pods`: kinds and names; an empty name is all of it."""
    if not arguments:
        raise click.UsageError("which resource? For example: pods, or deployment/web")
    if "/" in arguments[0]:
        pairs = [argument.partition("/") for argument in arguments]
        return [(kind_of(kind), name) for kind, _, name in pairs]
    found: list[Kind] = []
    for word in arguments[0].split(","):
        found += _EVERYDAY if word == "all" else [kind_of(word)]
    names = arguments[1:] or ("",)
    return [(kind, name) for kind in found for name in names]
