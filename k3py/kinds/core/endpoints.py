"""Endpoints: the addresses behind a Service, in its older form."""

from collections.abc import Iterator

from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object, Objects
from k3py.kinds import problems as wrong
from k3py.kinds.addresses import shortened
from k3py.kinds.defaults import fill_empty


class EndpointsKind(Kind):
    def default(self, obj: Object) -> None:
        for subset in _subsets(obj):
            for port in subset.get("ports") or ():
                fill_empty(port, protocol="TCP")

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        for index, subset in enumerate(_subsets(obj)):
            path = f"subsets[{index}]"
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                yield wrong.required(path, "must specify `addresses` or `notReadyAddresses`")
            for name in ("addresses", "notReadyAddresses"):
                for place, address in enumerate(subset.get(name) or ()):
                    yield from wrong.address(f"{path}.{name}[{place}].ip", address.get("ip", ""))
            yield from _ports(subset.get("ports") or [], f"{path}.ports")


def _ports(ports: Objects, field: str) -> Iterator[Problem]:
    for index, port in enumerate(ports):
        path = f"{field}[{index}]"
        if port.get("name") or len(ports) > 1:
            yield from wrong.named(f"{path}.name", port.get("name"))
        yield from wrong.port(f"{path}.port", port.get("port"))
        yield from wrong.one_of(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))


def _subsets(endpoints: Object) -> Objects:
    found: Objects = endpoints.get("subsets") or []
    return found


def _targets(endpoints: Object) -> Iterator[str]:
    for subset in _subsets(endpoints):
        ips = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports")
        if not ports:  # a headless Service may have none
            yield from ips
        for port in ports or ():
            yield from (
                f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}" for ip in ips
            )


def _column(endpoints: Object) -> str:
    if not _subsets(endpoints):
        return "<none>"
    return shortened(list(_targets(endpoints)))


ENDPOINTS = EndpointsKind(
    "v1",
    "Endpoints",
    "endpoints",
    short_names=("ep",),
    columns=(Column("Endpoints", _column), AGE),
)
