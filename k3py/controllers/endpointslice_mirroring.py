"""EndpointSlices of Endpoints that somebody wrote by hand, for Services without a selector."""

import ipaddress
from collections.abc import Iterable

from k3py.api import meta, wellknown
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers import backends, endpointslice, slices
from k3py.controllers.backends import Port
from k3py.controllers.controller import BY_CONTROLLER, Controller, controllers_of
from k3py.controllers.slices import Owner, Ports
from k3py.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE

MANAGER = "endpointslicemirroring-controller.k8s.io"
LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointSliceMirroringController(Controller):
    kind = ENDPOINTS

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._services = informers.of(SERVICE).cache
        self._slices = informers.of(ENDPOINT_SLICE).cache
        self._slices.add_index(BY_CONTROLLER, controllers_of)
        self.follow(SERVICE, lambda obj: (meta.key(obj),))
        self.follow(ENDPOINT_SLICE, lambda obj: self._owner(obj) if _is_ours(obj) else ())

    def reconcile(self, key: Key) -> None:
        endpoints = self.find(key)
        if endpoints is None or meta.is_deleting(endpoints):
            return  # the garbage collector takes the slices
        found = [s for s in self._slices.by(BY_CONTROLLER, meta.uid(endpoints)) if _is_ours(s)]
        service = self._services.get(key)
        if service is None or backends.is_selecting(service) or _is_not_for_us(endpoints):
            endpointslice.carry_out(self.client, slices.Plan(delete=found))
            return
        own = {wellknown.SERVICE_NAME: key.name, wellknown.MANAGED_BY_SLICES: MANAGER}
        owner = Owner(ENDPOINTS, endpoints, meta.labels(endpoints) | own)
        wanted = mirrored(endpoints)
        for family in endpointslice.FAMILIES:
            same = sorted((s for s in found if s["addressType"] == family), key=meta.key)
            plan = slices.Plan(delete=same)
            if family in wanted:
                plan = slices.plan(owner, family, same, wanted[family])
            endpointslice.carry_out(self.client, plan)


def mirrored(endpoints: Object) -> dict[str, dict[Ports, Objects]]:
    """The addresses of each family, by ports."""
    wanted: dict[str, dict[Ports, Objects]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = tuple(sorted(map(_port, subset.get("ports") or ())))
        for address, ready in _addresses(subset):
            family = f"IPv{ipaddress.ip_address(address['ip']).version}"
            end = {
                "addresses": [address["ip"]],
                "conditions": {"ready": ready},
                "hostname": address.get("hostname"),
                "nodeName": address.get("nodeName"),
                "targetRef": address.get("targetRef"),
            }
            same = wanted.setdefault(family, {}).setdefault(ports, [])
            same.append({k: v for k, v in end.items() if v})
    return wanted


def _addresses(subset: Object) -> Iterable[tuple[Object, bool]]:
    for address in subset.get("addresses") or ():
        yield address, True
    for address in subset.get("notReadyAddresses") or ():
        yield address, False


def _port(entry: Object) -> Port:
    app = entry.get("appProtocol") or ""
    return Port(entry.get("name") or "", entry["port"], entry.get("protocol") or "TCP", app)


def _is_not_for_us(endpoints: Object) -> bool:
    skip = meta.labels(endpoints).get(wellknown.SKIP_MIRROR) == "true"
    return skip or LEADER in meta.annotations(endpoints)


def _is_ours(slice_: Object) -> bool:
    return meta.labels(slice_).get(wellknown.MANAGED_BY_SLICES) == MANAGER
