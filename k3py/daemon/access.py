"""Reaching a cluster's API from this machine: as its administrator, or as its node."""

import os
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
    """As the kubeconfig at `path` says; unless told, KUBECONFIG, the server's own, or
    ~/.kube/config. Raises kubeconfig.Unusable.
    """
    found = kubeconfig.read(path or default_kubeconfig())
    return Connection(found.client(timeout=timeout), pki.fingerprint(found.ca))


def as_node(server: str, folder: Path, *, timeout: float = 10) -> RemoteClient:
    """The node's own view, with the certificate in `folder`."""
    return RemoteClient(
        server,
        ca=folder / "server-ca.crt",
        certificate=folder / "client-kubelet.crt",
        key=folder / "client-kubelet.key",
        timeout=timeout,
    )


def default_kubeconfig() -> Path:
    named = os.environ.get("KUBECONFIG", "").partition(":")[0]
    own = Layout().kubeconfig
    home = Path.home() / ".kube/config"
    return Path(named) if named else own if own.exists() or not home.exists() else home
