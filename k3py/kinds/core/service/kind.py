"""What the API server must know about Services."""

from collections.abc import Iterable

from k3py.api import labels
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds.core.service import questions, validation
from k3py.kinds.core.service.allocated import keep_allocated
from k3py.kinds.defaults import fill, fill_empty, section

_AFFINITY_SECONDS = 10_800


class ServiceKind(Kind):
    """Addresses and node ports are allocated by the server, after these hooks."""

    def default(self, obj: Object) -> None:
        spec = section(obj, "spec")
        fill_empty(spec, type="ClusterIP", sessionAffinity="None")
        _affinity(spec)
        for port in spec.get("ports") or ():
            fill_empty(port, protocol="TCP")
            fill_empty(port, targetPort=port.get("port"))
        if spec["type"] in ("NodePort", "LoadBalancer") or (
            spec["type"] == "ClusterIP" and spec.get("externalIPs")
        ):
            fill_empty(spec, externalTrafficPolicy="Cluster")
        if spec["type"] != "ExternalName":
            fill_empty(spec, internalTrafficPolicy="Cluster")
        if spec["type"] == "LoadBalancer":
            fill(spec, allocateLoadBalancerNodePorts=True)
            for ingress in section(section(obj, "status"), "loadBalancer").get("ingress") or ():
                if ingress.get("ip"):
                    fill_empty(ingress, ipMode="VIP")

    def prepare(self, obj: Object, old: Object | None) -> None:
        if old is None:
            obj["status"] = {"loadBalancer": {}}
        else:
            keep_allocated(obj, old)
        spec = obj["spec"]
        if spec["type"] == "ExternalName":
            return
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif spec.get("clusterIPs") and old is None and not spec.get("clusterIP"):
            spec["clusterIP"] = spec["clusterIPs"][0]
        fill_empty(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")

    def validate(self, obj: Object, old: Object | None) -> Iterable[Problem]:
        yield from validation.problems(obj)
        if old is not None:
            yield from validation.update_problems(obj, old)


def _affinity(spec: Object) -> None:
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = section(section(spec, "sessionAffinityConfig"), "clientIP")
        fill(config, timeoutSeconds=_AFFINITY_SECONDS)


def _cluster_ip(service: Object) -> str:
    ips = service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]
    return ips[0] or "<none>"


def _external_ip(service: Object) -> str:
    spec = service["spec"]
    given = list(spec.get("externalIPs") or ())
    match spec["type"]:
        case "LoadBalancer":
            balanced = sorted({a for a in questions.load_balancer_addresses(service) if a})
            return ",".join(balanced + given) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName") or "")
        case "ClusterIP" | "NodePort":
            return ",".join(given) or "<none>"
    return "<unknown>"


def _ports(service: Object) -> str:
    pieces = (
        f"{p['port']}:{p['nodePort']}/{p['protocol']}"
        if p.get("nodePort")
        else f"{p['port']}/{p['protocol']}"
        for p in service["spec"].get("ports") or ()
    )
    return ",".join(pieces) or "<none>"


SERVICE = ServiceKind(
    "v1",
    "Service",
    "services",
    short_names=("svc",),
    has_status=True,
    categories=("all",),
    subresources=("proxy",),
    selectable={
        "spec.clusterIP": lambda service: service["spec"].get("clusterIP") or "",
        "spec.type": lambda service: service["spec"]["type"],
    },
    columns=(
        Column("Type", lambda service: service["spec"]["type"]),
        Column("Cluster-IP", _cluster_ip),
        Column("External-IP", _external_ip),
        Column("Port(s)", _ports),
        AGE,
        Column(
            "Selector",
            lambda service: labels.text({"matchLabels": service["spec"].get("selector")}),
            priority=1,
        ),
    ),
)
