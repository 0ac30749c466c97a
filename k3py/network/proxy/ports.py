"""Services and their EndpointSlices as what the proxy computes with: one value for each port."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from k3py.api import meta, wellknown
from k3py.api.objects import Key, Object
from k3py.base import addresses
from k3py.network.backends import Backend

PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Endpoint(NamedTuple):
    address: str
    port: int


@dataclass(frozen=True)
class ServicePort:
    """One port of one Service, as this node sees it.

    `everywhere` are the endpoints to use on all nodes, `here` those to use on this node.
    """

    service: Key
    name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()  # who may use balancer_ips; empty: everybody
    affinity_seconds: int = 0  # 0: every connection may go elsewhere
    internal_local: bool = False
    external_local: bool = False
    everywhere: tuple[Endpoint, ...] = ()
    here: tuple[Endpoint, ...] = ()


class _Candidate(NamedTuple):
    endpoint: Endpoint
    ready: bool
    serving: bool
    here: bool


def service_ports(backend: Backend, *, node_name: str, dns_ip: str = "") -> tuple[ServicePort, ...]:
    """The ports that the proxy of the node `node_name` serves; in the order of the Service.

    None for a Service that is no business of the proxy: headless, a mere name, somebody
    else's, or the cluster's DNS, which each node answers itself.
    """
    service = backend.service
    spec = service["spec"]
    cluster_ip = str(addresses.address(spec.get("clusterIP") or "") or "")
    if (
        not cluster_ip
        or cluster_ip == dns_ip
        or spec.get("type") == "ExternalName"
        or wellknown.SERVICE_PROXY_NAME in meta.labels(service)
        or not all(map(_NAME.fullmatch, meta.key(service)))
    ):
        return ()
    return tuple(
        _service_port(service, port, cluster_ip, list(_candidates(backend, port, node_name)))
        for port in spec.get("ports") or ()
        if port.get("protocol", "TCP") in PROTOCOLS
    )


def _service_port(
    service: Object, port: Object, cluster_ip: str, candidates: list[_Candidate]
) -> ServicePort:
    spec = service["spec"]
    return ServicePort(
        service=meta.key(service),
        name=port.get("name") or str(port["port"]),
        protocol=PROTOCOLS[port.get("protocol", "TCP")],
        cluster_ip=cluster_ip,
        port=port["port"],
        node_port=port.get("nodePort") or 0,
        external_ips=_addresses(spec.get("externalIPs") or ()),
        balancer_ips=_balancer_ips(service),
        source_ranges=_ranges(spec.get("loadBalancerSourceRanges") or ()),
        affinity_seconds=_affinity_seconds(spec),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
        everywhere=_usable(candidates),
        here=_usable([c for c in candidates if c.here]),
    )


def _candidates(backend: Backend, port: Object, node_name: str) -> Iterator[_Candidate]:
    for slice_ in backend.slices:
        if slice_.get("addressType") != "IPv4":
            continue
        number = _target(slice_, port)
        for endpoint in (slice_.get("endpoints") or ()) if number else ():
            conditions = endpoint.get("conditions") or {}
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving")
            for address in _addresses((endpoint.get("addresses") or ())[:1]):
                yield _Candidate(
                    Endpoint(address, number),
                    ready=ready,
                    serving=ready if serving is None else serving,
                    here=endpoint.get("nodeName") == node_name,
                )


def _target(slice_: Object, port: Object) -> int:
    """The number that a Service's port has at the endpoints of a slice; 0 where it has none."""
    wanted = (port.get("name") or "", port.get("protocol", "TCP"))
    for offered in slice_.get("ports") or ():
        if (offered.get("name") or "", offered.get("protocol") or "TCP") == wanted:
            return offered.get("port") or 0
    return 0


def _usable(candidates: Iterable[_Candidate]) -> tuple[Endpoint, ...]:
    """Those that are ready; where none is, those that still answer while they terminate."""
    candidates = list(candidates)
    chosen = {c.endpoint for c in candidates if c.ready}
    chosen = chosen or {c.endpoint for c in candidates if c.serving}
    return tuple(sorted(chosen))


def _affinity_seconds(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return config.get("timeoutSeconds") or 10800


def _balancer_ips(service: Object) -> tuple[str, ...]:
    if service["spec"].get("type") != "LoadBalancer":
        return ()
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    ingress = balancer.get("ingress") or ()
    return _addresses(i.get("ip") or "" for i in ingress if i.get("ipMode") != "Proxy")


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(found) for found in map(addresses.address, texts) if found)


def _ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """Ranges without overlaps, which nftables refuses; none where everybody is allowed."""
    found = (addresses.network(text.strip(), strict=False) for text in texts)
    merged = ipaddress.collapse_addresses(range_ for range_ in found if range_)
    return tuple(str(range_) for range_ in merged if range_.prefixlen)
