"""The proxy's table, as a pure function of the Services.

    prerouting, output ─► services ─► svc/<namespace>/<service>/<port> ─► dnat to an endpoint
                                  └─► ext/…  from outside: by node port, external or balancer IP

One chain for each port of a Service, one map lookup to find it, one to choose the endpoint:
a packet's way is as long with a thousand Services as with one.

Nothing has to be said of a Service without endpoints: what still has an address of the
Services' range behind the NAT is refused, whether the Service is empty, has no such port or
does not exist. Only addresses outside that range need entries of their own, in `refused`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from k3py.network import marks
from k3py.network.nft import Table
from k3py.network.proxy.ports import Endpoint, ServicePort

_ADDRESSED = "ip daddr . meta l4proto . th dport"
_LOCAL = "fib daddr type local meta l4proto . th dport"
_MASQUERADED = f"meta mark & {marks.MASQUERADE:#x} == {marks.MASQUERADE:#x}"


@dataclass(frozen=True)
class Cluster:
    """What the rules must know beside the Services."""

    pod_range: str
    service_range: str
    dns_ip: str

    def owns(self, address: str) -> bool:
        """Whether an address is of the Services' range: such cannot be external as well."""
        return IPv4Address(address) in IPv4Network(self.service_range)


def frame(cluster: Cluster) -> Table:
    """The table without any Service."""
    table = Table(marks.PROXY_TABLE)
    table.map("service-ips", "type ipv4_addr . inet_proto . inet_service : verdict;")
    table.map("node-ports", "type inet_proto . inet_service : verdict;")
    table.map("refused", "type ipv4_addr . inet_proto . inet_service : verdict;")
    table.map("refused-ports", "type inet_proto . inet_service : verdict;")
    table.chain("mark-masquerade", f"meta mark set meta mark or {marks.MASQUERADE:#x}")
    # A reset reaches its client always; the kernel sends only a few ICMP messages a second.
    table.chain("refuse", "meta l4proto tcp reject with tcp reset", "reject")
    table.chain(
        "services",
        f"{_ADDRESSED} vmap @service-ips",
        f"ip daddr != 127.0.0.0/8 {_LOCAL} vmap @node-ports",
    )
    for hook in ("prerouting", "output"):
        nat = f"nat hook {hook} priority {marks.NAT_BEFORE_ROUTING}"
        table.chain(hook, "jump services", hook=nat)
    unanswered = (
        f"ct state new ip daddr {cluster.service_range} ip daddr != {cluster.dns_ip} goto refuse",
        f"ct state new {_ADDRESSED} vmap @refused",
    )
    for hook in ("forward", "output"):
        behind = f"filter hook {hook} priority {marks.FILTER}"
        table.chain(f"filter-{hook}", *unanswered, hook=behind)
    table.chain(
        "filter-input",
        unanswered[1],
        f"ct state new {_LOCAL} vmap @refused-ports",
        hook=f"filter hook input priority {marks.FILTER}",
    )
    table.chain(
        "postrouting",
        f"{_MASQUERADED} meta mark set meta mark xor {marks.MASQUERADE:#x} masquerade fully-random",
        hook=f"nat hook postrouting priority {marks.NAT_AFTER_ROUTING}",
    )
    return table


def part(ports: Iterable[ServicePort], cluster: Cluster) -> Table:
    """What one Service adds to the frame."""
    table = Table(marks.PROXY_TABLE)
    for port in ports:
        _add_port(table, port, cluster)
    return table


def merged(frame_: Table, parts: Iterable[Table]) -> Table:
    """The whole table. Where two parts claim one address and port, the first has it."""
    whole = Table(marks.PROXY_TABLE, dict(frame_.chains), dict(frame_.maps))
    whole.elements = {name: dict(elements) for name, elements in frame_.elements.items()}
    for added in parts:
        whole.chains |= added.chains
        whole.maps |= added.maps
        for name, elements in added.elements.items():
            present = whole.elements.setdefault(name, {})
            for key, value in elements.items():
                present.setdefault(key, value)
    return whole


def _add_port(table: Table, port: ServicePort, cluster: Cluster) -> None:
    name = f"{port.service.namespace}/{port.service.name}/{port.name}"
    if port.everywhere:
        masquerade = f"ip saddr != {cluster.pod_range} jump mark-masquerade"
        table.chain(f"svc/{name}", masquerade, *_balance(table, port, port.everywhere))
    if port.here and (port.internal_local or port.external_local):
        table.chain(f"local/{name}", *_balance(table, port, port.here))
    inside = _target(port, name, local=port.internal_local)
    if inside:
        key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
        table.elements.setdefault("service-ips", {})[key] = inside
    _add_outside(table, port, name, cluster)


def _add_outside(table: Table, port: ServicePort, name: str, cluster: Cluster) -> None:
    """The ways in from outside the cluster: node port, external and balancer addresses."""
    ips = [ip for ip in port.external_ips if not cluster.owns(ip)]
    balancers = [ip for ip in port.balancer_ips if not cluster.owns(ip)]
    if not (ips or balancers or port.node_port):
        return
    if port.everywhere:
        table.chain(f"ext/{name}", *_from_outside(port, name, cluster))
        entry = limited = f"goto ext/{name}"
        if port.source_ranges and balancers:
            allowed = ", ".join(port.source_ranges)
            stranger = f"ip saddr != {{ {allowed} }} fib saddr type != local drop"
            table.chain(f"lb/{name}", stranger, entry)
            limited = f"goto lb/{name}"
        entries = dict.fromkeys(balancers, limited) | dict.fromkeys(ips, entry)
        _add_entries(table, port, entries, entry, ("service-ips", "node-ports"))
    if not (port.here if port.external_local else port.everywhere):
        refusals = dict.fromkeys([*balancers, *ips], "goto refuse")
        _add_entries(table, port, refusals, "goto refuse", ("refused", "refused-ports"))


def _add_entries(
    table: Table, port: ServicePort, ips: dict[str, str], node_port: str, maps: tuple[str, str]
) -> None:
    addressed, numbered = maps
    for ip, verdict in ips.items():
        key = f"{ip} . {port.protocol} . {port.port}"
        table.elements.setdefault(addressed, {})[key] = verdict
    if port.node_port:
        key = f"{port.protocol} . {port.node_port}"
        table.elements.setdefault(numbered, {})[key] = node_port


def _from_outside(port: ServicePort, name: str, cluster: Cluster) -> Iterator[str]:
    """With the policy Local, endpoints elsewhere are for the cluster's own traffic only."""
    if not port.external_local:
        yield "jump mark-masquerade"
        yield f"goto svc/{name}"
        return
    yield f"ip saddr {cluster.pod_range} goto svc/{name}"
    yield "fib saddr type local jump mark-masquerade"
    yield f"fib saddr type local goto svc/{name}"
    if port.here:
        yield f"goto local/{name}"


def _target(port: ServicePort, name: str, *, local: bool) -> str:
    if local:
        return f"goto local/{name}" if port.here else ""
    return f"goto svc/{name}" if port.everywhere else ""


def _balance(table: Table, port: ServicePort, endpoints: tuple[Endpoint, ...]) -> Iterator[str]:
    if port.affinity_seconds:
        yield from _balance_with_memory(table, port, endpoints)
    elif len(endpoints) == 1:
        yield _dnat(port, endpoints[0])
    else:
        choices = ", ".join(f"{n} : {e.address} . {e.port}" for n, e in enumerate(endpoints))
        choice = f"numgen random mod {len(endpoints)} map {{ {choices} }}"
        yield f"meta l4proto {port.protocol} dnat ip to {choice}"


def _balance_with_memory(
    table: Table, port: ServicePort, endpoints: tuple[Endpoint, ...]
) -> Iterator[str]:
    """Each endpoint remembers its clients; the kernel forgets those that stay away."""
    service = f"{port.service.namespace}/{port.service.name}/{port.name}"
    ways = []
    for endpoint in endpoints:
        name = f"{service}/{endpoint.address}-{endpoint.port}"
        # A set cannot change its timeout; one with another timeout is another set.
        seen = f"seen-{port.affinity_seconds}/{name}"
        timeout = f"timeout {port.affinity_seconds}s"
        table.set(seen, f"type ipv4_addr; flags dynamic,timeout; {timeout};")
        table.chain(f"end/{name}", f"update @{seen} {{ ip saddr }}", _dnat(port, endpoint))
        yield f"ip saddr @{seen} goto end/{name}"
        ways.append(f"goto end/{name}")
    choices = ", ".join(f"{n} : {way}" for n, way in enumerate(ways))
    yield f"numgen random mod {len(ways)} vmap {{ {choices} }}"


def _dnat(port: ServicePort, endpoint: Endpoint) -> str:
    return f"meta l4proto {port.protocol} dnat ip to {endpoint.address}:{endpoint.port}"
