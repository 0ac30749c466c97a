"""Which certificates a cluster has, where they lie, and when they are made anew.

server-ca ─ serving-kube-apiserver, each node's serving-kubelet
client-ca ─ client-admin, client-kube-apiserver, each node's client-kubelet
service.key signs service account tokens
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from k3py.base import files, pki
from k3py.cluster.layout import Layout

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=120)


@dataclass(frozen=True)
class ServerCertificates:
    """The server's own, loaded. `service_key` is the PEM key of service account tokens."""

    server_ca: pki.Pair
    client_ca: pki.Pair
    serving: pki.Pair
    admin: pki.Pair
    kubelet_client: pki.Pair
    service_key: bytes
    folder: Path


def ensure(layout: Layout, hosts: Iterable[str], *, now: datetime) -> ServerCertificates:
    """Load the server's certificates, making what is missing, due, or lacks one of `hosts`.

    Authorities are made once and never again: every token and kubeconfig rests on them.
    """
    folder = layout.server_tls
    server_ca = _authority(folder, "server-ca", "k3py-server-ca", now)
    client_ca = _authority(folder, "client-ca", "k3py-client-ca", now)
    return ServerCertificates(
        server_ca=server_ca,
        client_ca=client_ca,
        serving=_leaf(
            folder, "serving-kube-apiserver", server_ca, "kube-apiserver", hosts=hosts, now=now
        ),
        admin=_leaf(
            folder, "client-admin", client_ca, "system:admin", groups=("system:masters",), now=now
        ),
        kubelet_client=_leaf(
            folder,
            "client-kube-apiserver",
            client_ca,
            "system:kube-apiserver",
            groups=("system:masters",),
            now=now,
        ),
        service_key=_key(folder / "service.key"),
        folder=folder,
    )


def is_due(certificate: bytes, *, now: datetime) -> bool:
    """Whether a certificate should be renewed."""
    return pki.expiry(certificate) - now < RENEW_BEFORE


def load(folder: Path, stem: str) -> pki.Pair | None:
    """The pair `stem`.crt and `stem`.key; None when either is absent."""
    try:
        return pki.Pair(
            (folder / f"{stem}.crt").read_bytes(), (folder / f"{stem}.key").read_bytes()
        )
    except FileNotFoundError:
        return None


def save(folder: Path, stem: str, pair: pki.Pair) -> None:
    """The key first: a certificate on disk always has its key beside it."""
    files.write_private(folder / f"{stem}.key", pair.key)
    files.write(folder / f"{stem}.crt", pair.certificate)


def _authority(folder: Path, stem: str, name: str, now: datetime) -> pki.Pair:
    found = load(folder, stem)
    if found is None:
        found = pki.new_authority(name, now=now, life=AUTHORITY_LIFE)
        save(folder, stem, found)
    return found


def _leaf(
    folder: Path,
    stem: str,
    authority: pki.Pair,
    name: str,
    *,
    groups: Iterable[str] = (),
    hosts: Iterable[str] = (),
    now: datetime,
) -> pki.Pair:
    found, wanted = load(folder, stem), frozenset(hosts)
    if (
        found is None
        or is_due(found.certificate, now=now)
        or not wanted <= pki.hosts(found.certificate)
        or not pki.is_signed_by(found.certificate, authority.certificate)
    ):
        served = wanted | (pki.hosts(found.certificate) if found else frozenset())
        found = pki.new_pair(
            authority, name=name, groups=groups, hosts=sorted(served), now=now, life=LEAF_LIFE
        )
        save(folder, stem, found)
    return found


def _key(path: Path) -> bytes:
    if not path.exists():
        files.write_private(path, pki.new_key())
    return path.read_bytes()
