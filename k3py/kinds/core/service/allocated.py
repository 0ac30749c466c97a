"""Keeping what a Service was given, through updates that do not mention it.

A client that replaces a Service with what it once wrote leaves out its address and node
ports; they stay. One that changes the type leaves in what the new type cannot have, and did
not mean it: that goes.
"""

from k3py.api.objects import Object
from k3py.kinds.core.service import questions

_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def keep_allocated(service: Object, old: Object) -> None:
    """Change `service`, the successor of `old`, in place."""
    _addresses(service, old)
    _node_ports(service, old)
    _drop_what_the_type_cannot_have(service["spec"], old["spec"])


def _addresses(service: Object, old: Object) -> None:
    spec, was = service["spec"], old["spec"]
    if questions.is_external_name(service):
        if not questions.is_external_name(old):
            for name in _ADDRESSES:
                if name in spec and spec[name] == was.get(name):
                    del spec[name]
        return
    if not spec.get("clusterIP") and not spec.get("clusterIPs"):
        _copy(spec, was, "clusterIP")
    if spec.get("clusterIP") == was.get("clusterIP") and not spec.get("clusterIPs"):
        _copy(spec, was, "clusterIPs")
    elif spec.get("clusterIP") and spec.get("clusterIPs") == was.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"], *(spec.get("clusterIPs") or [])[1:]]
    for name in ("ipFamilies", "ipFamilyPolicy"):
        if not spec.get(name):
            _copy(spec, was, name)


def _node_ports(service: Object, old: Object) -> None:
    before = {_port_key(p): p["nodePort"] for p in _ports(old) if p.get("nodePort")}
    if questions.needs_node_ports(service):
        taken = {p["nodePort"] for p in _ports(service) if p.get("nodePort")}
        for port in _ports(service):
            had = before.get(_port_key(port))
            if not port.get("nodePort") and had and had not in taken:
                port["nodePort"] = had
    elif questions.needs_node_ports(old):
        for port in _ports(service):
            if port.get("nodePort") and port["nodePort"] == before.get(_port_key(port)):
                del port["nodePort"]


def _drop_what_the_type_cannot_have(spec: Object, was: Object) -> None:
    if spec["type"] == was["type"]:
        if spec["type"] == "LoadBalancer" and not spec.get("healthCheckNodePort"):
            _copy(spec, was, "healthCheckNodePort")
        return
    dropped = []
    if spec["type"] not in ("NodePort", "LoadBalancer") and not spec.get("externalIPs"):
        dropped += ["externalTrafficPolicy"]
    if spec["type"] != "LoadBalancer":
        dropped += ["healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass"]
    if spec["type"] == "ExternalName":
        dropped += ["internalTrafficPolicy"]
    for name in dropped:
        if name in spec and spec[name] == was.get(name):
            del spec[name]


def _copy(spec: Object, was: Object, name: str) -> None:
    if was.get(name):
        spec[name] = was[name]


def _ports(service: Object) -> list[Object]:
    return service["spec"].get("ports") or []


def _port_key(port: Object) -> tuple[str, int]:
    return port.get("protocol", "TCP"), port.get("port", 0)
