"""What is wrong with a Service."""

from collections.abc import Iterator
from typing import Any

from k3py.api import names
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.core.service import questions
from k3py.kinds.core.service.questions import NO_ADDRESS

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_LONGEST_AFFINITY_SECONDS = 86_400


def problems(service: Object) -> Iterator[Problem]:
    spec = service["spec"]
    if spec["type"] not in TYPES:
        yield wrong.unsupported("spec.type", spec["type"], TYPES)
    yield from _by_type(service)
    yield from _ports(service)
    yield from wrong.label_map("spec.selector", spec.get("selector"))
    yield from _affinity(spec)
    yield from _cluster_ips(service)
    yield from _policies(spec)
    yield from _external(spec)


def update_problems(service: Object, old: Object) -> Iterator[Problem]:
    """What is wrong with turning `old` into `service`."""
    spec, was = service["spec"], old["spec"]
    if questions.is_external_name(service) or questions.is_external_name(old):
        return
    before, now = was.get("clusterIPs") or [], spec.get("clusterIPs") or []
    if before and before[:1] != now[:1]:
        yield wrong.invalid("spec.clusterIPs[0]", now, "may not change once set")
    families, had = spec.get("ipFamilies") or [], was.get("ipFamilies") or []
    if had and families[:1] != had[:1]:
        yield wrong.invalid("spec.ipFamilies[0]", families, "may not change once set")


def _by_type(service: Object) -> Iterator[Problem]:
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        name = (spec.get("externalName") or "").removesuffix(".")
        yield from wrong.named("spec.externalName", name, names.subdomain_problem)
        if spec.get("clusterIP") or spec.get("clusterIPs"):
            yield wrong.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
        return
    if not spec.get("ports") and not questions.is_headless(service):
        yield wrong.required("spec.ports")
    if spec["type"] in ("LoadBalancer", "NodePort") and questions.is_headless(service):
        yield wrong.invalid(
            "spec.clusterIPs[0]",
            NO_ADDRESS,
            f"may not be set to 'None' for {spec['type']} services",
        )


def _ports(service: Object) -> Iterator[Problem]:
    ports = service["spec"].get("ports") or []
    named = [(f"[{i}].name", p["name"]) for i, p in enumerate(ports) if p.get("name")]
    yield from wrong.unique("spec.ports", named)
    numbers: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        yield from _port(port, path, alone=len(ports) == 1)
        pair = (port.get("protocol"), port.get("port"))
        if pair in numbers:
            yield wrong.duplicate(path, {"protocol": pair[0], "port": pair[1]})
        numbers.add(pair)
        yield from _node_port(service, port, path, node_ports)


def _port(port: Object, path: str, *, alone: bool) -> Iterator[Problem]:
    if port.get("name") or not alone:
        yield from wrong.named(f"{path}.name", port.get("name"))
    yield from wrong.port(f"{path}.port", port.get("port") or 0)
    yield from wrong.one_of(f"{path}.protocol", port.get("protocol"), _PROTOCOLS)
    target = port.get("targetPort")
    if isinstance(target, str):
        if why := wrong.port_name_problem(target):
            yield wrong.invalid(f"{path}.targetPort", target, why)
    else:
        yield from wrong.port(f"{path}.targetPort", target or 0)


def _node_port(
    service: Object, port: Object, path: str, seen: set[tuple[Any, Any]]
) -> Iterator[Problem]:
    number = port.get("nodePort")
    if not number:
        return
    if service["spec"]["type"] not in ("NodePort", "LoadBalancer"):
        kind = service["spec"]["type"]
        yield wrong.forbidden(f"{path}.nodePort", f"may not be used when `type` is '{kind}'")
    pair = (port.get("protocol"), number)
    if pair in seen:
        yield wrong.duplicate(f"{path}.nodePort", number)
    seen.add(pair)


def _affinity(spec: Object) -> Iterator[Problem]:
    affinity = spec["sessionAffinity"]
    if affinity not in ("ClientIP", "None"):
        yield wrong.unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    elif affinity == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _LONGEST_AFFINITY_SECONDS:
            yield wrong.invalid(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                seconds,
                f"must be greater than 0 and less than {_LONGEST_AFFINITY_SECONDS}",
            )


def _cluster_ips(service: Object) -> Iterator[Problem]:
    spec = service["spec"]
    ips = spec.get("clusterIPs") or []
    if spec["type"] == "ExternalName":
        return
    if ips and spec.get("clusterIP") and ips[0] != spec["clusterIP"]:
        yield wrong.invalid("spec.clusterIPs", ips, "first value must match `clusterIP`")
    if NO_ADDRESS in ips and len(ips) > 1:
        yield wrong.invalid("spec.clusterIPs", ips, "'None' must be the first and only value")
    for index, ip in enumerate(ips):
        if ip not in ("", NO_ADDRESS):
            yield from wrong.address(f"spec.clusterIPs[{index}]", ip)
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        yield wrong.invalid(
            "spec.ipFamilyPolicy",
            spec["ipFamilyPolicy"],
            "this cluster is not configured for dual-stack services",
        )
    elif spec["ipFamilyPolicy"] not in ("SingleStack", "PreferDualStack"):
        choices = ("SingleStack", "PreferDualStack", "RequireDualStack")
        yield wrong.unsupported("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], choices)
    for index, family in enumerate(spec["ipFamilies"]):
        if family != "IPv4":
            yield wrong.invalid(
                f"spec.ipFamilies[{index}]", family, "not configured on this cluster"
            )


def _policies(spec: Object) -> Iterator[Problem]:
    external = spec.get("externalTrafficPolicy")
    if external:
        reachable = spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
        if not reachable:
            yield wrong.invalid(
                "spec.externalTrafficPolicy",
                external,
                "may only be set for externally-accessible services",
            )
        elif external not in _POLICIES:
            yield wrong.unsupported("spec.externalTrafficPolicy", external, _POLICIES)
    internal = spec.get("internalTrafficPolicy")
    if internal and internal not in _POLICIES:
        yield wrong.unsupported("spec.internalTrafficPolicy", internal, _POLICIES)
    distribution = spec.get("trafficDistribution")
    if distribution and distribution not in _DISTRIBUTIONS:
        yield wrong.unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS)
    if spec.get("allocateLoadBalancerNodePorts") is not None and spec["type"] != "LoadBalancer":
        yield wrong.forbidden(
            "spec.allocateLoadBalancerNodePorts",
            "may only be used when `type` is 'LoadBalancer'",
        )


def _external(spec: Object) -> Iterator[Problem]:
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        yield from wrong.address(f"spec.externalIPs[{index}]", ip)
    if spec.get("loadBalancerIP"):
        yield from wrong.address("spec.loadBalancerIP", spec["loadBalancerIP"])
    if spec.get("loadBalancerSourceRanges") and spec["type"] != "LoadBalancer":
        yield wrong.forbidden(
            "spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"
        )
