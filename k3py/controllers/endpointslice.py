"""EndpointSlices: the addresses behind each Service that selects pods, a hundred at a time."""

from k3py.api import meta, wellknown
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers import backends, slices
from k3py.controllers.backends import BackendController
from k3py.controllers.controller import BY_CONTROLLER, controllers_of
from k3py.controllers.slices import Owner, Ports
from k3py.kinds import ENDPOINT_SLICE, NODE, SERVICE
from k3py.kinds.core import pod as pods

MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
FAMILIES = {"IPv4": 4, "IPv6": 6}


class EndpointSliceController(BackendController):
    delay = 0.05

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._nodes = informers.of(NODE).cache
        self._slices = informers.of(ENDPOINT_SLICE).cache
        self._slices.add_index(BY_CONTROLLER, controllers_of)
        self.follow(ENDPOINT_SLICE, lambda obj: self._owner(obj) if _is_ours(obj) else ())

    def reconcile(self, key: Key) -> None:
        service = self.find(key)
        if service is None or meta.is_deleting(service) or not backends.is_selecting(service):
            return  # the garbage collector takes the slices of a Service that is gone
        found = [s for s in self._slices.by(BY_CONTROLLER, meta.uid(service)) if _is_ours(s)]
        found.sort(key=meta.key)
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        mine = self.pods_of(service)
        owner = Owner(SERVICE, service, labels(service))
        for family in families:
            same = [s for s in found if s["addressType"] == family]
            wanted = self._wanted(service, mine, FAMILIES[family])
            carry_out(self.client, slices.plan(owner, family, same, wanted))
        for slice_ in found:
            if slice_["addressType"] not in families:
                self.client.delete(ENDPOINT_SLICE, meta.key(slice_), uid=meta.uid(slice_))

    def _wanted(self, service: Object, mine: Objects, family: int) -> dict[Ports, Objects]:
        wanted: dict[Ports, Objects] = {}
        for pod in mine:
            ips = backends.addresses(pod, family)
            if ips and backends.may_serve(pod, terminating=True):
                node = self._nodes.get(Key("", pods.node_name(pod)))
                end = endpoint(service, pod, ips[:1], node)
                wanted.setdefault(backends.ports(service, pod), []).append(end)
        return wanted


def carry_out(client: CachedClient, plan: slices.Plan) -> None:
    """First what brings addresses, then what takes them."""
    for slice_ in plan.create:
        client.create(ENDPOINT_SLICE, slice_)
    for slice_ in plan.update:
        client.update(ENDPOINT_SLICE, slice_)
    for slice_ in plan.delete:
        client.delete(ENDPOINT_SLICE, meta.key(slice_), uid=meta.uid(slice_))


def labels(service: Object) -> dict[str, str]:
    own = {
        wellknown.SERVICE_NAME: service["metadata"]["name"],
        wellknown.MANAGED_BY_SLICES: MANAGER,
    }
    return backends.marked(service, own)


def endpoint(service: Object, pod: Object, ips: list[str], node: Object | None) -> Object:
    """A pod as an endpoint: it is ready while it serves and is not on its way out."""
    serving, terminating = pods.is_ready(pod), meta.is_deleting(pod)
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    found = {
        "addresses": ips,
        "conditions": {
            "ready": always or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "hostname": backends.hostname(service, pod),
        "nodeName": pods.node_name(pod),
        "zone": meta.labels(node).get(ZONE) if node else None,
        "targetRef": backends.target(pod),
    }
    return {k: v for k, v in found.items() if v}


def _is_ours(slice_: Object) -> bool:
    return meta.labels(slice_).get(wellknown.MANAGED_BY_SLICES) == MANAGER
