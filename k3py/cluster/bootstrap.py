"""What a new cluster contains, and gets back when it is lost: namespaces, roles, Services.

Everything here is made when absent; roles and bindings are also put right when an older
version of k3py made them, unless their annotation rbac.authorization.kubernetes.io/autoupdate
says "false" (Kubernetes, "Using RBAC Authorization": auto-reconciliation).
"""

import contextlib
import ipaddress
from collections.abc import Iterable
from importlib import resources

import yaml

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.api.wellknown import DEFAULT, SKIP_MIRROR, SYSTEM, SYSTEM_NAMESPACES
from k3py.base.addresses import network
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.kinds.core import node as nodes

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
KUBERNETES = Key(DEFAULT, "kubernetes")
DNS = Key(SYSTEM, "kube-dns")
log = Log("k3py.cluster")


class Contradiction(Exception):
    """What the server is told differs from what the cluster was made with, for good."""


def prepare(
    client: Client,
    *,
    cluster_cidr: str,
    service_cidr: str,
    dns_ip: str,
    advertise: str,
    port: int,
) -> None:
    """Make what every cluster has. `advertise` and `port` are where the API is reached.

    Raises Contradiction.
    """
    _check_ranges(client, cluster_cidr, service_cidr, dns_ip)
    for namespace in SYSTEM_NAMESPACES:
        _ensure(client, kinds.NAMESPACE, {"metadata": {"name": namespace}})
    for obj in _manifest("rbac.yaml"):
        _reconcile_role(client, obj)
    _ensure(client, kinds.SERVICE, _kubernetes_service(first_address(service_cidr), port))
    _ensure(client, kinds.SERVICE, _dns_service(dns_ip))
    publish_address(client, advertise=advertise, port=port)


def _check_ranges(client: Client, cluster_cidr: str, service_cidr: str, dns_ip: str) -> None:
    """Addresses are in use wherever pods run: they cannot be other ones from now on."""
    told = {KUBERNETES: ("service-cidr", service_cidr, first_address(service_cidr))}
    told[DNS] = ("cluster-dns", dns_ip, dns_ip)
    for key, (option, given, wanted) in told.items():
        with contextlib.suppress(errors.NotFound):
            found = client.get(kinds.SERVICE, key)["spec"]["clusterIP"]
            if found != wanted:
                raise Contradiction(
                    f"{option} {given} does not fit this cluster, whose Service {key} has "
                    f"{found}: it cannot be changed, start with the {option} it was made with"
                )
    pods = ipaddress.ip_network(cluster_cidr)
    for node in client.list(kinds.NODE).items:
        share = network(nodes.pod_cidr(node))
        if share is not None and not share.overlaps(pods):
            raise Contradiction(
                f"cluster-cidr {cluster_cidr} does not fit this cluster, whose node "
                f"{node['metadata']['name']} has {share}: it cannot be changed, start with the "
                "cluster-cidr it was made with"
            )


def first_address(service_cidr: str) -> str:
    """The address of the Service kubernetes.default."""
    return str(ipaddress.ip_network(service_cidr)[1])


def publish_address(client: Client, *, advertise: str, port: int) -> None:
    """Say where the API is: the endpoints of the Service kubernetes.default."""
    labels = {SKIP_MIRROR: "true"}
    endpoints = {
        "metadata": {"name": "kubernetes", "namespace": DEFAULT, "labels": labels},
        "subsets": [
            {
                "addresses": [{"ip": advertise}],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    }
    version = ipaddress.ip_address(advertise).version
    slice_ = {
        "metadata": {
            "name": "kubernetes",
            "namespace": DEFAULT,
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": f"IPv{version}",
        "endpoints": [{"addresses": [advertise], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    _replace(client, kinds.ENDPOINTS, endpoints, "subsets")
    _replace(client, kinds.ENDPOINT_SLICE, slice_, "endpoints", "ports")


def _kubernetes_service(address: str, port: int) -> Object:
    return {
        "metadata": {
            "name": KUBERNETES.name,
            "namespace": KUBERNETES.namespace,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    }


def _dns_service(address: str) -> Object:
    """The address that every node's own DNS server answers on; it has no pods behind it."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    labels = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
    return {
        "metadata": {"name": DNS.name, "namespace": DNS.namespace, "labels": labels},
        "spec": {"clusterIP": address, "ports": ports},
    }


def _manifest(name: str) -> Iterable[Object]:
    text = resources.files("k3py.cluster").joinpath("manifests", name).read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: Iterable[Object] = yaml.load_all(text, Loader=loader)
    return found


def _ensure(client: Client, kind: Kind, obj: Object) -> None:
    try:
        client.get(kind, meta.key(obj))
    except errors.NotFound:
        client.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})


def _replace(client: Client, kind: Kind, obj: Object, *fields: str) -> None:
    try:
        found = client.get(kind, meta.key(obj))
    except errors.NotFound:
        client.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
        return
    if any(found.get(field) != obj[field] for field in fields):
        client.update(kind, found | {field: obj[field] for field in fields})


_ROLE_KINDS = {
    kind.kind: kind
    for kind in (
        kinds.ROLE,
        kinds.CLUSTER_ROLE,
        kinds.ROLE_BINDING,
        kinds.CLUSTER_ROLE_BINDING,
    )
}


def _reconcile_role(client: Client, obj: Object) -> None:
    kind = _ROLE_KINDS[obj["kind"]]
    obj["metadata"].setdefault("labels", {})["kubernetes.io/bootstrapping"] = "rbac-defaults"
    obj["metadata"].setdefault("annotations", {})[AUTOUPDATE] = "true"
    try:
        found = client.get(kind, meta.key(obj))
    except errors.NotFound:
        client.create(kind, obj)
        return
    if meta.annotations(found).get(AUTOUPDATE) == "false":
        return
    field = "rules" if "rules" in obj else "subjects"
    missing = [entry for entry in obj.get(field) or () if entry not in (found.get(field) or ())]
    if missing:
        log.info("default role put right", kind=kind.kind, name=obj["metadata"]["name"])
        client.update(kind, found | {field: [*(found.get(field) or ()), *missing]})
