"""Cluster IPs and node ports: what is free is what no stored Service holds.

Nothing else remembers an allocation, so none can leak: the allocator follows the stored
Services, and holds what it has promised only until the write is done.
"""

import ipaddress
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import orjson

from k3py.api import errors
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.apiserver import keys
from k3py.kinds import SERVICE
from k3py.kinds.core.service import needs_node_ports
from k3py.store.errors import Compacted
from k3py.store.record import Record
from k3py.store.store import Store
from k3py.store.watch import Watch

HEADLESS = "None"
_LARGEST_RANGE = 1 << 20


class Allocator:
    """Gives Services their addresses and ports. `node_ports` is the range of those."""

    def __init__(self, store: Store, service_cidr: str, node_ports: range) -> None:
        self._store = store
        self._network = ipaddress.ip_network(service_cidr)
        self._ports = node_ports
        # The lock covers everything below.
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._holders: dict[str, tuple[str, ...]] = {}  # store key → what that Service holds
        self._taken: dict[str, int] = {}  # address or port → by how many
        self._promised: set[str] = set()

    @contextmanager
    def allocated(self, service: Object, old: Object | None) -> Iterator[None]:
        """Complete a Service, in place, with what it lacks; held until the block is left.

        Raises Invalid for an address or port that another Service has or that is out of range.
        """
        with self._lock:
            self._follow()
            mine = set(_held(old)) if old else set()
            promised = self._allocate(service, mine)
            self._promised |= promised
        try:
            yield
        finally:
            with self._lock:
                self._promised -= promised

    def _allocate(self, service: Object, mine: set[str]) -> set[str]:
        """What was newly taken. Raises Invalid."""
        before = set(self._promised)
        try:
            taken = self._allocate_address(service, mine)
            self._promised |= taken
            return taken | self._allocate_ports(service, mine)
        finally:
            self._promised = before

    def _allocate_address(self, service: Object, mine: set[str]) -> set[str]:
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return set()
        address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if not address:
            address = self._free_address()
        elif address != HEADLESS and address not in mine:
            self._check_address(service, address)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]
        spec.setdefault("ipFamilies", [f"IPv{self._network.version}"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        return set() if address == HEADLESS or address in mine else {address}

    def _allocate_ports(self, service: Object, mine: set[str]) -> set[str]:
        spec = service["spec"]
        wants = needs_node_ports(service)
        taken: set[str] = set()
        # What is asked for by number goes first, so that a free choice cannot take it.
        ports = enumerate(spec.get("ports") or ())
        by_number: dict[int, int] = {}
        for at, port in sorted(ports, key=lambda pair: not pair[1].get("nodePort")):
            number = port.get("nodePort")
            if number:
                if str(number) not in mine and str(number) not in taken:
                    self._check_port(service, f"spec.ports[{at}].nodePort", number)
            elif wants:
                number = by_number.get(port["port"]) or self._free_port(mine | taken)
                port["nodePort"] = number
            if number:
                taken.add(str(number))
                by_number.setdefault(port["port"], number)
        if _needs_health_port(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._free_port(mine | taken)
            taken.add(str(spec["healthCheckNodePort"]))
        return taken - mine

    def _check_address(self, service: Object, address: str) -> None:
        why = ""
        try:
            inside = ipaddress.ip_address(address) in self._network
        except ValueError:
            inside, why = False, "not a valid IP address"
        if not why and not inside:
            why = (
                f"the provided IP ({address}) is not in the valid range. "
                f"The range of valid IPs is {self._network}"
            )
        if not why and self._is_taken(address):
            why = "provided IP is already allocated"
        if why:
            value = (
                f'Invalid value: []string{{"{address}"}}: failed to allocate IP {address}: {why}'
            )
            raise _invalid(service, Problem("spec.clusterIPs", value))

    def _check_port(self, service: Object, field: str, number: int) -> None:
        why = ""
        if number not in self._ports:
            last = self._ports.stop - 1
            why = (
                "provided port is not in the valid range. The range of valid ports is "
                f"{self._ports.start}-{last}"
            )
        elif self._is_taken(str(number)):
            why = "provided port is already allocated"
        if why:
            raise _invalid(service, Problem(field, f"Invalid value: {number}: {why}"))

    def _free_address(self) -> str:
        """From the upper band, so that the lower stays for addresses asked for by number."""
        size = min(self._network.num_addresses, _LARGEST_RANGE)
        band = min(max(16, size // 16), 256) if size > 32 else 1
        last = size - 1 if self._network.version == 4 else size
        for choices in (range(band, last), range(1, min(band, last))):
            for at in _shuffled(choices):
                address = str(self._network[at])
                if not self._is_taken(address):
                    return address
        raise errors.InternalError("failed to allocate a serviceIP: range is full")

    def _free_port(self, avoided: set[str]) -> int:
        band = min(max(16, len(self._ports) // 32), 128)
        for choices in (self._ports[band:], self._ports[:band]):
            for number in _shuffled(choices):
                if str(number) not in avoided and not self._is_taken(str(number)):
                    return number
        raise errors.InternalError("failed to allocate a nodePort: range is full")

    def _is_taken(self, what: str) -> bool:
        return what in self._promised or self._taken.get(what, 0) > 0

    def _follow(self) -> None:
        """Learn what the stored Services hold by now."""
        if self._watch is None or self._watch.closed:
            self._reload()
        assert self._watch is not None
        while record := self._watch.next(0):
            self._learn(record)

    def _reload(self) -> None:
        prefix = keys.prefix(SERVICE)
        while True:
            page = self._store.list(prefix)
            try:
                self._watch = self._store.watch(prefix, page.revision)
                break
            except Compacted:
                continue
        self._holders, self._taken = {}, {}
        for record in page.records:
            self._learn(record)

    def _learn(self, record: Record) -> None:
        for what in self._holders.pop(record.key, ()):
            self._taken[what] -= 1
        if record.value is not None:
            held = tuple(_held(orjson.loads(record.value)))
            self._holders[record.key] = held
            for what in held:
                self._taken[what] = self._taken.get(what, 0) + 1


def _held(service: Object) -> Iterable[str]:
    """The addresses and ports of a stored Service."""
    spec = service["spec"]
    yield from (a for a in spec.get("clusterIPs") or () if a and a != HEADLESS)
    yield from {str(p["nodePort"]) for p in spec.get("ports") or () if p.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        yield str(spec["healthCheckNodePort"])


def _needs_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _shuffled(numbers: range) -> Iterator[int]:
    """All of `numbers` once, from a random one on."""
    if numbers:
        first = secrets.randbelow(len(numbers))
        yield from numbers[first:]
        yield from numbers[:first]


def _invalid(service: Object, problem: Problem) -> errors.Invalid:
    return errors.invalid(SERVICE, service["metadata"].get("name", ""), [problem])
