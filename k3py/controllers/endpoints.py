"""Endpoints: the addresses behind each Service that selects pods, in the older form."""

from collections.abc import Mapping

from k3py.api import meta
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers import backends
from k3py.controllers.backends import BackendController, Port
from k3py.kinds import ENDPOINTS
from k3py.kinds.core import pod as pods

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
CAPACITY = 1000
_IPV4 = 4
_FIELDS = ("addresses", "notReadyAddresses")


class EndpointsController(BackendController):
    delay = 0.2  # the slices, which the proxies read, are quicker

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._endpoints = informers.of(ENDPOINTS).cache
        self.follow(ENDPOINTS, lambda obj: (meta.key(obj),) if _is_ours(obj) else ())

    def reconcile(self, key: Key) -> None:
        service, found = self.find(key), self._endpoints.get(key)
        if service is None:
            if found is not None:
                self.client.delete(ENDPOINTS, key, uid=meta.uid(found))
            return
        if not backends.is_selecting(service) or meta.is_deleting(service):
            return
        wanted = endpoints(service, self.pods_of(service), found)
        if found is None:
            self.client.create(ENDPOINTS, wanted)
        elif _told(found) != _told(wanted):
            self.client.update(ENDPOINTS, wanted)


def endpoints(service: Object, found: Objects, old: Object | None) -> Object:
    """What is to be told of a Service with these pods."""
    key = meta.key(service)
    about: Object = old["metadata"] if old else key._asdict()
    noted = dict(about.get("annotations") or {})
    noted.pop(OVER_CAPACITY, None)
    parts = subsets(service, found)
    if sum(len(part.get(field, ())) for part in parts for field in _FIELDS) > CAPACITY:
        parts = _truncated(parts)
        noted[OVER_CAPACITY] = "truncated"
    told = {"labels": backends.marked(service, MANAGED_BY), "annotations": noted}
    return {
        "apiVersion": ENDPOINTS.api_version,
        "kind": ENDPOINTS.kind,
        "metadata": about | told,
        "subsets": parts,
    }


def subsets(service: Object, found: Objects) -> Objects:
    """The pods' addresses; ports that have the same addresses stand together."""
    all_are_ready = bool(service["spec"].get("publishNotReadyAddresses"))
    by_port: dict[Port | None, dict[str, Objects]] = {}
    for pod in found:
        address = _address(service, pod)
        if address is None or not backends.may_serve(pod, terminating=all_are_ready):
            continue
        field = "addresses" if all_are_ready or pods.is_ready(pod) else "notReadyAddresses"
        for port in _ports(service, pod):
            by_port.setdefault(port, {}).setdefault(field, []).append(address)
    groups: list[tuple[Mapping[str, Objects], Objects]] = []
    for port in sorted(by_port, key=lambda p: p or Port("", 0, "")):
        same = next((ports for told, ports in groups if told == by_port[port]), None)
        if same is None:
            same = []
            groups.append((by_port[port], same))
        if port is not None:
            same.append({k: v for k, v in port.entry().items() if v != ""})
    return [{**told, **({"ports": ports} if ports else {})} for told, ports in groups]


def _ports(service: Object, pod: Object) -> tuple[Port | None, ...]:
    """A headless Service may have none; its pods still have addresses."""
    if not service["spec"].get("ports"):
        return (None,)
    return backends.ports(service, pod)


def _address(service: Object, pod: Object) -> Object | None:
    ips = backends.addresses(pod, _IPV4)
    if not ips:
        return None
    found = {
        "ip": ips[0],
        "hostname": backends.hostname(service, pod),
        "nodeName": pods.node_name(pod),
        "targetRef": backends.target(pod),
    }
    return {k: v for k, v in found.items() if v}


def _truncated(parts: Objects) -> Objects:
    """The first thousand addresses, ready ones before others."""
    left, kept = CAPACITY, [dict(part) for part in parts]
    for field in _FIELDS:
        for part in kept:
            if field in part:
                part[field] = part[field][:left]
                left -= len(part[field])
    return [{k: v for k, v in part.items() if v} for part in kept]


def _told(obj: Object) -> tuple[object, ...]:
    return obj.get("subsets") or [], meta.labels(obj), meta.annotations(obj)


def _is_ours(obj: Object) -> bool:
    return MANAGED_BY.items() <= meta.labels(obj).items()
