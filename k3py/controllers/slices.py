"""How addresses are cut into EndpointSlices: a pure plan that changes as few as it can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from k3py.api import meta
from k3py.api.kind import Kind
from k3py.api.objects import Object, Objects
from k3py.controllers.backends import Port
from k3py.kinds import ENDPOINT_SLICE

PER_SLICE = 100

Ports = tuple[Port, ...]


@dataclass
class Plan:
    create: Objects = field(default_factory=list)
    update: Objects = field(default_factory=list)
    delete: Objects = field(default_factory=list)


@dataclass(frozen=True)
class Owner:
    """What the slices are of, and the labels they carry."""

    kind: Kind
    obj: Object
    labels: Mapping[str, str]


def plan(
    owner: Owner, family: str, found: Sequence[Object], wanted: Mapping[Ports, Objects]
) -> Plan:
    """Make slices of one address `family` (IPv4, IPv6) hold, for each set of ports, `wanted`.

    Endpoints stay in the slice that they are in; new ones fill what has room. With nothing
    wanted one empty slice remains, which says that there is nothing.
    """
    wanted = {ports: ends for ports, ends in wanted.items() if ends} or {(): []}
    plan = Plan()
    by_ports: dict[Ports, Objects] = {}
    for old in found:
        by_ports.setdefault(_ports(old), []).append(old)
    for ports, ends in wanted.items():
        olds = by_ports.pop(ports, [])
        if not ends and not olds and by_ports:
            olds = [by_ports[next(iter(by_ports))].pop()]
        _divide(plan, owner, family, ports, olds, ends)
    plan.delete += [old for olds in by_ports.values() for old in olds]
    return plan


def _divide(
    plan: Plan, owner: Owner, family: str, ports: Ports, olds: Objects, ends: Objects
) -> None:
    """Spread the endpoints of one set of ports over the slices that it has, and new ones."""
    left = {_identity(end): end for end in ends}
    shares: list[Objects] = []
    for old in olds:
        stay = [left.pop(who) for who in map(_identity, old["endpoints"] or ()) if who in left]
        shares.append(stay)
    rest = list(left.values())
    for share in shares:
        room = PER_SLICE - len(share)
        share += rest[:room]
        rest = rest[room:]
    empty_is_needed = not ends
    for old, share in zip(olds, shares, strict=True):
        if not share and not empty_is_needed:
            plan.delete.append(old)
            continue
        empty_is_needed = False
        new = _filled(old, owner, ports, share)
        if new != old:
            plan.update.append(new)
    while rest or empty_is_needed:
        plan.create.append(_filled(_empty(owner, family), owner, ports, rest[:PER_SLICE]))
        rest, empty_is_needed = rest[PER_SLICE:], False


def _filled(old: Object, owner: Owner, ports: Ports, ends: Objects) -> Object:
    about = old["metadata"] | {"labels": dict(owner.labels)}
    entries = [port.entry() for port in ports]
    return old | {"metadata": about, "endpoints": ends, "ports": entries}


def _empty(owner: Owner, family: str) -> Object:
    about = owner.obj["metadata"]
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "generateName": f"{about['name']}-",
            "namespace": about["namespace"],
            "ownerReferences": [meta.controller_ref(owner.kind, owner.obj)],
        },
        "addressType": family,
    }


def _ports(slice_: Object) -> Ports:
    return tuple(sorted(map(_port, slice_.get("ports") or ())))


def _port(entry: Object) -> Port:
    return Port(
        entry.get("name") or "",
        entry.get("port") or 0,
        entry.get("protocol") or "TCP",
        entry.get("appProtocol") or "",
    )


def _identity(end: Object) -> tuple[object, ...]:
    """Which endpoint it is, whatever state it is in."""
    return (*end["addresses"], (end.get("targetRef") or {}).get("uid"))
