"""Which pods stand behind a Service, and on which of their ports. Shared by both forms that
tell of it, Endpoints and EndpointSlices.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from k3py.api import labels, meta
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Controller
from k3py.kinds import POD, SERVICE
from k3py.kinds.core import pod as pods
from k3py.kinds.core import service as services

HEADLESS = "service.kubernetes.io/headless"


class Port(NamedTuple):
    """A port as its Service names it, at the number that a pod has for it."""

    name: str
    number: int
    protocol: str
    app_protocol: str = ""

    def entry(self) -> Object:
        found = {"name": self.name, "port": self.number, "protocol": self.protocol}
        return found | ({"appProtocol": self.app_protocol} if self.app_protocol else {})


class BackendController(Controller):
    """A controller of what is told about Services, called when they or their pods change."""

    kind = SERVICE

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._services = informers.of(SERVICE).cache
        self._pods = informers.of(POD).cache
        self.attend(informers.of(POD), self._pod_changed)

    def pods_of(self, service: Object) -> Objects:
        """In the order of their names, so that the same pods always make the same list."""
        selector = labels.from_map(service["spec"]["selector"])
        found = self._pods.list(service["metadata"]["namespace"])
        return sorted((p for p in found if selector.matches(meta.labels(p))), key=meta.key)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old and new and _matters(old) == _matters(new):
            return
        touched = {key for pod in (old, new) if pod for key in self._services_of(pod)}
        for key in touched:
            self.queue.add_after(key, self.delay)

    def _services_of(self, pod: Object) -> Iterable[Key]:
        found = meta.labels(pod)
        for service in filter(services.has_selector, self._services.list(meta.key(pod).namespace)):
            if labels.from_map(service["spec"]["selector"]).matches(found):
                yield meta.key(service)


def is_selecting(service: Object) -> bool:
    """Whether its backends are found by selector; others are somebody else's to tell."""
    return services.has_selector(service) and not services.is_external_name(service)


def may_serve(pod: Object, *, terminating: bool) -> bool:
    """Whether it has an address and has not ended; `terminating` counts pods on their way out."""
    if pods.is_finished(pod) or not pod["status"].get("podIP"):
        return False
    return terminating or not meta.is_deleting(pod)


def addresses(pod: Object, family: int) -> list[str]:
    """Its addresses of IP version `family`."""
    status = pod["status"]
    found = [entry["ip"] for entry in status.get("podIPs") or ()] or [status.get("podIP")]
    return [ip for ip in found if ip and ipaddress.ip_address(ip).version == family]


def ports(service: Object, pod: Object) -> tuple[Port, ...]:
    """The Service's ports that `pod` has; sorted by name."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = _target(port, pod)
        if number is not None:
            name, app = port.get("name") or "", port.get("appProtocol") or ""
            found.append(Port(name, number, port["protocol"], app))
    return tuple(sorted(found))


def hostname(service: Object, pod: Object) -> str:
    """The name it goes by within its Service, if it asked for one."""
    spec = pod["spec"]
    if spec.get("subdomain") != service["metadata"]["name"]:
        return ""
    return spec.get("hostname") or ""


def target(pod: Object) -> Object:
    """A reference to the pod, for people and for tools."""
    about = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": about["namespace"],
        "name": about["name"],
        "uid": about["uid"],
    }


def marked(service: Object, own: dict[str, str]) -> dict[str, str]:
    """The labels of what tells about `service`: its own, and whether it is headless."""
    found = {k: v for k, v in meta.labels(service).items() if k != HEADLESS} | own
    return found | ({HEADLESS: ""} if services.is_headless(service) else {})


def _target(port: Object, pod: Object) -> int | None:
    wanted = port.get("targetPort") or port["port"]
    if isinstance(wanted, int):
        return wanted
    for container in pods.containers(pod):
        for offered in container.get("ports") or ():
            if (offered.get("name"), offered["protocol"]) == (wanted, port["protocol"]):
                number: int = offered["containerPort"]
                return number
    return None


def _matters(pod: Object) -> tuple[object, ...]:
    """All of a pod that a Service could tell."""
    spec, status = pod["spec"], pod["status"]
    return (
        meta.uid(pod),
        meta.labels(pod),
        meta.is_deleting(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        status.get("phase"),
        status.get("podIP"),
        status.get("podIPs"),
        pods.is_ready(pod),
    )
