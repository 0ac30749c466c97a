"""One Service of each sort, as the rules see them from node1."""

from k3py.api.objects import Key
from k3py.network.proxy.ports import Endpoint, ServicePort
from k3py.network.proxy.rules import Cluster

CLUSTER = Cluster("10.42.0.0/16", "10.43.0.0/16", "10.43.0.10")

A1, B1, A2 = (Endpoint(ip, 8080) for ip in ("10.42.1.2", "10.42.1.3", "10.42.2.2"))


def port(name: str, cluster_ip: str, *endpoints: Endpoint, **fields) -> ServicePort:
    here = tuple(e for e in endpoints if e.address.startswith("10.42.1."))
    made = {"name": "http", "protocol": "tcp", "port": 80, "everywhere": endpoints, "here": here}
    return ServicePort(Key("default", name), cluster_ip=cluster_ip, **made | fields)


WEB = port("web", "10.43.0.20", A1, B1, A2)
ALONE = port("alone", "10.43.0.21", A2, protocol="udp", port=53)
EMPTY = port("empty", "10.43.0.22")
FAITHFUL = port("faithful", "10.43.0.23", A1, A2, affinity_seconds=3600)
OPEN = port("open", "10.43.0.24", A1, A2, node_port=30080, external_ips=("192.168.7.7",))
NEAR = port("near", "10.43.0.25", A1, A2, internal_local=True)
PRESERVING = port("preserving", "10.43.0.26", A1, A2, node_port=30081, external_local=True)
FAR = port("far", "10.43.0.27", A2, node_port=30082, external_local=True, internal_local=True)
GUARDED = port(
    "guarded",
    "10.43.0.28",
    A1,
    node_port=30083,
    balancer_ips=("192.168.7.8",),
    source_ranges=("192.168.7.0/24", "10.0.0.0/8"),
)
CLOSED = port("closed", "10.43.0.29", node_port=30084, external_ips=("192.168.7.9",))
ALL = (WEB, ALONE, EMPTY, FAITHFUL, OPEN, NEAR, PRESERVING, FAR, GUARDED, CLOSED)
