"""The cluster's zone: which names exist and what they stand for. Knows no packets.

    <service>.<namespace>.svc               the Service's address, or its endpoints' if headless
    <host>.<service>.<namespace>.svc        one endpoint of a headless Service
    _<port>._<protocol>.<service>…          where a named port is served
    <a-b-c-d>.<namespace>.pod               a pod's address, spelt out
    <reversed address>.in-addr.arpa         back from an address to a name

as the Kubernetes specification of DNS-based service discovery 1.1.0 has it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from k3py.api.objects import Key, Object
from k3py.base import addresses
from k3py.network.backends import Backend

SPECIFICATION = "1.1.0"


class Record(NamedTuple):
    """`value` is an address, a name, a text, or for SRV "port name"."""

    name: str
    type: str
    value: str


class Answer(NamedTuple):
    """What the zone says of a name. A name that exists may have no record of the type asked."""

    exists: bool
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


NO_SUCH_NAME, NO_SUCH_RECORD = Answer(False), Answer(True)


class _Target(NamedTuple):
    host: str  # empty: the Service itself
    port: int


@dataclass
class Entry:
    """What one Service is called, relative to its own name."""

    addresses: tuple[str, ...] = ()
    alias: str = ""
    hosts: dict[str, list[str]] = field(default_factory=dict)
    ports: dict[tuple[str, str], list[_Target]] = field(default_factory=dict)

    def reversed(self) -> Iterator[tuple[str, str]]:
        """(address, host) of everything that has a name of its own."""
        if self.hosts:
            for host, found in self.hosts.items():
                yield from ((address, host) for address in found)
        else:
            yield from ((address, "") for address in self.addresses)


class Zone:
    """The names of all Services; to be used by one thread at a time."""

    def __init__(self, domain: str, ranges: tuple[str, ...]) -> None:
        """`ranges`: the addresses whose reverse names are this zone's to answer."""
        self.domain = domain
        self._ranges = [IPv4Network(range_) for range_ in ranges]
        self._entries: dict[Key, Entry] = {}
        self._namespaces: Counter[str] = Counter()
        self._reverse: dict[str, dict[Key, str]] = {}  # address → Service → host

    def put(self, key: Key, backend: Backend | None) -> None:
        """What is true of a Service from now on; None: it is gone."""
        old = self._entries.pop(key, None)
        if old:
            self._namespaces[key.namespace] -= 1
            for address, _ in old.reversed():
                named = self._reverse.get(address, {})
                named.pop(key, None)
                if not named:
                    self._reverse.pop(address, None)
        if backend:
            entry = entry_of(backend)
            self._entries[key] = entry
            self._namespaces[key.namespace] += 1
            for address, host in entry.reversed():
                self._reverse.setdefault(address, {})[key] = host

    def lookup(self, name: str, type_: str) -> Answer | None:
        """The answer for a name in small letters without the last dot; None: not ours to give."""
        if name.endswith(".in-addr.arpa"):
            return self._lookup_reverse(name, type_)
        if name == self.domain:
            return self._lookup_apex(type_)
        if not name.endswith("." + self.domain):
            return None
        labels = name.removesuffix("." + self.domain).split(".")
        match labels:
            case ["dns-version"]:
                return _of_type(type_, [Record(name, "TXT", SPECIFICATION)])
            case ["svc"] | ["pod"]:
                return NO_SUCH_RECORD
            case [namespace, "svc" | "pod"]:
                return NO_SUCH_RECORD if self._namespaces[namespace] > 0 else NO_SUCH_NAME
            case [spelt, _, "pod"]:
                return _lookup_pod(name, spelt, type_)
            case [*hosts, service, namespace, "svc"]:
                return self._lookup_service(name, hosts, Key(namespace, service), type_)
        return NO_SUCH_NAME

    @property
    def soa(self) -> Record:
        return Record(self.domain, "SOA", f"ns.dns.{self.domain} hostmaster.{self.domain}")

    def _lookup_apex(self, type_: str) -> Answer:
        return _of_type(type_, [self.soa, Record(self.domain, "NS", f"ns.dns.{self.domain}")])

    def _lookup_service(self, name: str, hosts: list[str], key: Key, type_: str) -> Answer:
        entry = self._entries.get(key)
        if not entry:
            return NO_SUCH_NAME
        if entry.alias:
            alias = (Record(name, "CNAME", entry.alias),)
            return Answer(True, alias) if not hosts else NO_SUCH_NAME
        match hosts:
            case []:
                return _of_type(type_, [Record(name, "A", ip) for ip in entry.addresses])
            case [host] if host in entry.hosts:
                return _of_type(type_, [Record(name, "A", ip) for ip in entry.hosts[host]])
            case [protocol] if any(of == protocol for _, of in entry.ports):
                return NO_SUCH_RECORD
            case [port, protocol] if (port, protocol) in entry.ports:
                return self._lookup_port(name, entry, key, entry.ports[port, protocol], type_)
        return NO_SUCH_NAME

    def _lookup_port(
        self, name: str, entry: Entry, key: Key, targets: list[_Target], type_: str
    ) -> Answer:
        found, additional = [], []
        for target in targets:
            full = self._full_name(key, target.host)
            found.append(Record(name, "SRV", f"{target.port} {full}"))
            ips = entry.hosts[target.host] if target.host else entry.addresses
            additional += [Record(full, "A", ip) for ip in ips]
        answer = _of_type(type_, found)
        return answer._replace(additional=tuple(dict.fromkeys(additional))) if answer[1] else answer

    def _lookup_reverse(self, name: str, type_: str) -> Answer | None:
        parts = name.removesuffix(".in-addr.arpa").split(".")
        address = addresses.address(".".join(reversed(parts)))
        if not address or not any(address in range_ for range_ in self._ranges):
            return None
        named = self._reverse.get(str(address))
        if not named:
            return NO_SUCH_NAME
        names = [self._full_name(key, host) for key, host in named.items()]
        return _of_type(type_, [Record(name, "PTR", full) for full in names])

    def _full_name(self, key: Key, host: str) -> str:
        return f"{host}{'.' if host else ''}{key.name}.{key.namespace}.svc.{self.domain}"


def entry_of(backend: Backend) -> Entry:
    spec = backend.service["spec"]
    if spec.get("type") == "ExternalName":
        return Entry(alias=(spec.get("externalName") or "").rstrip(".").lower())
    cluster_ip = addresses.address(spec.get("clusterIP") or "")
    if cluster_ip:
        ports = {
            (f"_{port['name']}", f"_{port.get('protocol', 'TCP').lower()}"): [
                _Target("", port["port"])
            ]
            for port in spec.get("ports") or ()
            if port.get("name")
        }
        return Entry(addresses=(str(cluster_ip),), ports=ports)
    return _headless(backend.slices)


def _headless(slices: list[Object]) -> Entry:
    entry = Entry()
    for slice_ in slices:
        if slice_.get("addressType") != "IPv4":
            continue
        for address, host in _ready(slice_):
            known = entry.hosts.setdefault(host, [])
            if address not in known:
                known.append(address)
            for port in slice_.get("ports") or ():
                if port.get("name") and port.get("port"):
                    key = (f"_{port['name']}", f"_{port.get('protocol', 'TCP').lower()}")
                    entry.ports.setdefault(key, []).append(_Target(host, port["port"]))
    entry.addresses = tuple(dict.fromkeys(ip for ips in entry.hosts.values() for ip in ips))
    return entry


def _ready(slice_: Object) -> Iterator[tuple[str, str]]:
    """(address, host name) of each endpoint; one without a name is called by its address."""
    for endpoint in slice_.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is not False:
            for text in endpoint.get("addresses") or ():
                address = addresses.address(text)
                if address:
                    spelt = str(address).replace(".", "-")
                    yield str(address), endpoint.get("hostname") or spelt


def _lookup_pod(name: str, spelt: str, type_: str) -> Answer:
    address: IPv4Address | None = addresses.address(spelt.replace("-", "."))
    return _of_type(type_, [Record(name, "A", str(address))]) if address else NO_SUCH_NAME


def _of_type(type_: str, records: list[Record]) -> Answer:
    return Answer(True, tuple(r for r in records if type_ in (r.type, "ANY")))
