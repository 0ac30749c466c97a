"""EndpointSlices: the addresses behind a Service, a hundred at a time."""

from collections.abc import Iterator

from k3py.api import names
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object, Objects
from k3py.kinds import problems as wrong
from k3py.kinds.addresses import shortened
from k3py.kinds.defaults import fill, fill_empty

_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ENDPOINTS = 1000
_MOST_ADDRESSES = 100
_MOST_PORTS = 20_000


def is_ready(endpoint: Object) -> bool:
    """Whether new connections may go there; not saying so means yes."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def is_serving(endpoint: Object) -> bool:
    """Whether it answers, even while it is being stopped."""
    serving = (endpoint.get("conditions") or {}).get("serving")
    return is_ready(endpoint) if serving is None else bool(serving)


def is_terminating(endpoint: Object) -> bool:
    return bool((endpoint.get("conditions") or {}).get("terminating"))


class EndpointSliceKind(Kind):
    def default(self, obj: Object) -> None:
        fill(obj, endpoints=[])
        for port in _ports(obj):
            fill(port, name="")
            fill_empty(port, protocol="TCP")

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        kind = obj.get("addressType")
        yield from wrong.one_of("addressType", kind, _TYPES)
        if old is not None and kind != old["addressType"]:
            yield wrong.invalid("addressType", kind, wrong.IMMUTABLE)
        yield from _endpoint_problems(obj["endpoints"], kind or "")
        yield from _port_problems(_ports(obj))


def _endpoint_problems(endpoints: Objects, kind: str) -> Iterator[Problem]:
    if len(endpoints) > _MOST_ENDPOINTS:
        yield wrong.too_many("endpoints", len(endpoints), _MOST_ENDPOINTS)
        return
    for index, endpoint in enumerate(endpoints):
        path = f"endpoints[{index}].addresses"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            yield wrong.required(path, "must contain at least 1 address")
        elif len(addresses) > _MOST_ADDRESSES:
            yield wrong.too_many(path, len(addresses), _MOST_ADDRESSES)
        for place, address in enumerate(addresses[:_MOST_ADDRESSES]):
            yield from _address(address, kind, f"{path}[{place}]")


def _address(address: str, kind: str, path: str) -> Iterator[Problem]:
    if kind == "FQDN":
        if why := names.subdomain_problem(address):
            yield wrong.invalid(path, address, why)
        return
    problems = list(wrong.address(path, address))
    if kind in ("IPv4", "IPv6") and not problems and (":" in address) != (kind == "IPv6"):
        yield wrong.invalid(path, address, f"must be an {kind} address")
    yield from problems


def _port_problems(ports: Objects) -> Iterator[Problem]:
    if len(ports) > _MOST_PORTS:
        yield wrong.too_many("ports", len(ports), _MOST_PORTS)
        return
    yield from wrong.unique("ports", [(f"[{i}].name", p["name"]) for i, p in enumerate(ports)])
    for index, port in enumerate(ports):
        path = f"ports[{index}]"
        if port["name"] and (why := names.label_problem(port["name"])):
            yield wrong.invalid(f"{path}.name", port["name"], why)
        yield from wrong.one_of(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
        if port.get("port") is not None:
            yield from wrong.port(f"{path}.port", port["port"])


def _ports(obj: Object) -> Objects:
    found: Objects = obj.get("ports") or []
    return found


def _port_cell(obj: Object) -> str:
    return shortened(
        [
            str(p["port"]) if p.get("port") is not None else p.get("name") or "*"
            for p in _ports(obj)
        ],
        empty="<unset>",
    )


def _endpoint_cell(obj: Object) -> str:
    return shortened([a for e in obj["endpoints"] for a in e["addresses"]], empty="<unset>")


ENDPOINT_SLICE = EndpointSliceKind(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "endpointslices",
    columns=(
        Column("AddressType", lambda obj: obj["addressType"]),
        Column("Ports", _port_cell),
        Column("Endpoints", _endpoint_cell),
        AGE,
    ),
)
