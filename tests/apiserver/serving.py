"""A real API server in a process of its own, for clients that are strangers to us.

python serving.py FOLDER PORT     serves until it is killed; writes FOLDER/kubeconfig
"""

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

    from k3py.base import threads

    threads.use_greenlets()

from k3py.api.wellknown import SYSTEM_NAMESPACES
from k3py.apiserver.server import ApiServer
from k3py.base import log, pki
from k3py.base import threads as base_threads
from k3py.client.kubeconfig import Kubeconfig
from k3py.cluster import bootstrap
from k3py.kinds import SERVICE_ACCOUNT
from k3py.store.store import Store

LIFE = timedelta(days=1)


def make_certificates(folder: Path) -> None:
    """A CA, and what it signs: server, admin, kubelet client, and user "jane" of "devs"."""
    now = datetime.now(UTC)
    ca = pki.new_authority("test-ca", now=now, life=LIFE)
    (folder / "ca.crt").write_bytes(ca.certificate)
    pairs = {
        "server": {"name": "server", "hosts": ("127.0.0.1", "localhost")},
        "admin": {"name": "admin", "groups": ("system:masters",)},
        "kubelet": {"name": "kube-apiserver", "groups": ("system:masters",)},
        "jane": {"name": "jane", "groups": ("devs",)},
        "pi1": {"name": "system:node:pi1", "groups": ("system:nodes",)},
    }
    for file, facts in pairs.items():
        pair = pki.new_pair(ca, now=now, life=LIFE, **facts)
        (folder / f"{file}.crt").write_bytes(pair.certificate)
        (folder / f"{file}.key").write_bytes(pair.key)
    (folder / "service.key").write_bytes(pki.new_key())


def kubeconfig(folder: Path, user: str, port: int) -> Path:
    """A kubeconfig for the holder of a certificate in `folder`."""
    config = Kubeconfig(
        f"https://127.0.0.1:{port}",
        (folder / "ca.crt").read_bytes(),
        (folder / f"{user}.crt").read_bytes(),
        (folder / f"{user}.key").read_bytes(),
    )
    path = folder / f"{user}.kubeconfig"
    path.write_text(config.text())
    return path


def make_server(folder: Path, store: Store, **options: object) -> ApiServer:
    return ApiServer(
        store,
        service_cidr="10.43.0.0/16",
        node_ports=(30000, 32767),
        cluster_domain="cluster.local",
        service_account_key=(folder / "service.key").read_bytes(),
        client_ca=folder / "ca.crt",
        kubelet_ca=folder / "ca.crt",
        kubelet_certificate=folder / "kubelet.crt",
        kubelet_key=folder / "kubelet.key",
        **options,
    )


def prepare(api: ApiServer) -> None:
    """What every cluster has, with the service accounts that a controller would make."""
    client = api.client("test", ("system:masters",))
    bootstrap.prepare(
        client,
        cluster_cidr="10.42.0.0/16",
        service_cidr="10.43.0.0/16",
        dns_ip="10.43.0.10",
        advertise="192.0.2.1",
        port=6443,
    )
    for namespace in SYSTEM_NAMESPACES:
        account = {"metadata": {"name": "default", "namespace": namespace}}
        client.create(SERVICE_ACCOUNT, account)


def main(folder: Path, port: int) -> None:
    log.configure(debug=True)
    make_certificates(folder)
    group = base_threads.Group("test")
    store = Store(folder / "store.db")
    store.start(group)
    api = make_server(folder, store)
    prepare(api)
    for user in ("admin", "jane", "pi1"):
        kubeconfig(folder, user, port)
    signal.signal(signal.SIGTERM, lambda *_: group.stopping.set())
    group.start(
        "api",
        lambda stop: api.listen(
            "127.0.0.1", port, folder / "server.crt", folder / "server.key", stop
        ),
    )
    print("ready", flush=True)
    group.wait()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
