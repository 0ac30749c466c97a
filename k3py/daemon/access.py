"""Reaching a cluster's API from this machine: as its administrator, or as its node."""

from pathlib import Path
from typing import NamedTuple

from k3py.base import pki
from k3py.client import kubeconfig
from k3py.client.client import Client
from k3py.client.remote import RemoteClient
from k3py.cluster.layout import Layout


class Connection(NamedTuple):
    """`ca_hash` is what join tokens pin."""

    client: Client
    ca_hash: str


def connect(path: Path | None = None, *, timeout: float = 10) -> Connection:
    """As the kubeconfig at `path` says; the server's own unless told, then KUBECONFIG, then
    ~/.kube/config. Raises kubeconfig.NoKubeconfig.
    """
    access = kubeconfig.load(path or _default())
    client = RemoteClient(
        access.server,
        ca=access.ca,
        certificate=access.certificate,
        key=access.key,
        token=access.token,
        timeout=timeout,
    )
    return Connection(client, pki.fingerprint(access.ca))


def as_node(server: str, folder: Path, *, timeout: float = 10) -> RemoteClient:
    """The node's own view, with the certificate in `folder`."""
    return RemoteClient(
        server,
        ca=folder / "server-ca.crt",
        certificate=folder / "client-kubelet.crt",
        key=folder / "client-kubelet.key",
        timeout=timeout,
    )


def _default() -> Path | None:
    own = Layout().kubeconfig
    return own if own.exists() else None
