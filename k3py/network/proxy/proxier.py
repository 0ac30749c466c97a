"""Keeps the kernel's table in line with the Services: whole at first, then change by change.

What a Service adds to the table is computed when it changes and kept; the difference of the
whole to what was last applied is one transaction. Should a change be refused, because
somebody else touched the table, it is replaced as a whole.
"""

import threading

from k3py.api.objects import Key
from k3py.base.clock import SYSTEM, Clock
from k3py.base.commands import CommandFailed
from k3py.base.log import Log
from k3py.network import nft
from k3py.network.backends import Backend, Backends
from k3py.network.marks import PROXY_TABLE
from k3py.network.nft import Table
from k3py.network.proxy import conntrack, rules
from k3py.network.proxy.ports import ServicePort, service_ports

log = Log("k3py.network")

# How long after a transaction no kernel counts what it removed any more.
_REST_SECONDS = 5.0


class Proxier:
    """`changed` may be called by any thread, `step` by one."""

    def __init__(
        self, backends: Backends, *, cluster: rules.Cluster, node_name: str, clock: Clock = SYSTEM
    ) -> None:
        self._backends, self._node_name = backends, node_name
        self._clock = clock
        self._cluster = cluster
        self._frame = rules.frame(cluster)
        self._lock = threading.Lock()  # of _dirty
        self._dirty: set[Key] = set()
        self._ports: dict[Key, tuple[ServicePort, ...]] = {}
        self._parts: dict[Key, Table] = {}
        self._ages: dict[Key, tuple[str, Key]] = {}
        self._applied: Table | None = None
        self._lost = threading.Event()
        self._flows: set[conntrack.Filter] = set()
        self._left_chains: set[str] = set()
        self._left_sets: set[str] = set()
        self._rest_until = 0.0

    def changed(self, service: Key) -> None:
        with self._lock:
            self._dirty.add(service)

    @property
    def is_applied(self) -> bool:
        return self._applied is not None

    def table_lost(self) -> None:
        """Somebody deleted the table: the next step brings it back."""
        self._lost.set()

    def step(self) -> float | None:
        """Apply what changed; in how many seconds something is left to be done."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        for key in dirty:
            self._take_in(key)
        if self._lost.is_set():
            self._lost.clear()
            self._applied = None
        wanted = rules.merged(self._frame, self._by_age())
        self._apply(wanted)
        conntrack.forget(self._flows)
        self._flows = set()
        return self._clean_up()

    def _take_in(self, key: Key) -> None:
        backend = self._backends.get(key)
        ports = self._read(key, backend) if backend else ()
        old = self._ports.get(key, ())
        if ports == old:
            return
        self._flows |= conntrack.stale_flows(old, ports)
        if ports and backend:
            created = backend.service["metadata"].get("creationTimestamp") or ""
            self._ports[key], self._ages[key] = ports, (created, key)
            self._parts[key] = rules.part(ports, self._cluster)
        else:
            for known in (self._ports, self._parts, self._ages):
                known.pop(key, None)

    def _read(self, key: Key, backend: Backend) -> tuple[ServicePort, ...]:
        """One Service that makes no sense must not keep the others from being served."""
        try:
            return service_ports(backend, node_name=self._node_name, dns_ip=self._cluster.dns_ip)
        except (AttributeError, KeyError, TypeError, ValueError):
            log.exception("service makes no sense and is not served", service=key)
            return ()

    def _by_age(self) -> list[Table]:
        """An address claimed twice belongs to the Service that was there first."""
        return [self._parts[key] for key in sorted(self._parts, key=self._ages.__getitem__)]

    def _apply(self, wanted: Table) -> None:
        applied, self._applied = self._applied, None
        if applied and self._change(applied, wanted):
            self._applied = wanted
            return
        nft.run(wanted.script())
        self._left_chains, self._left_sets = set(), set()
        self._applied = wanted
        log.info("service rules written", services=len(self._parts))

    def _change(self, applied: Table, wanted: Table) -> bool:
        script = nft.changes(applied, wanted)
        try:
            nft.run(script)
        except CommandFailed as failed:
            log.warning("service rules cannot be changed, replacing them", why=failed)
            return False
        chains, sets = nft.leftovers(applied, wanted)
        if chains or sets:
            self._rest_until = self._clock.monotonic() + _REST_SECONDS
        self._left_chains = (self._left_chains | chains) - wanted.chains.keys()
        self._left_sets = (self._left_sets | sets) - wanted.maps.keys()
        return True

    def _clean_up(self) -> float | None:
        """Delete empty chains that nothing can refer to any more."""
        if not (self._left_chains or self._left_sets):
            return None
        wait = self._rest_until - self._clock.monotonic()
        if wait > 0:
            return wait
        try:
            nft.run(nft.deletions(PROXY_TABLE, self._left_chains, self._left_sets))
        except CommandFailed as failed:
            log.debug("stale chains are still in use", why=failed)
            self._rest_until = self._clock.monotonic() + _REST_SECONDS * 12
            return _REST_SECONDS * 12
        self._left_chains, self._left_sets = set(), set()
        return None
