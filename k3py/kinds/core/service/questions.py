"""Questions to ask of a Service."""

from k3py.api.objects import Object

NO_ADDRESS = "None"  # the clusterIP of a headless Service


def is_external_name(service: Object) -> bool:
    """Whether it is no more than another name for something."""
    return bool(service["spec"]["type"] == "ExternalName")


def is_headless(service: Object) -> bool:
    """Whether it has no address of its own, so that its name means its pods."""
    return bool(service["spec"].get("clusterIP") == NO_ADDRESS)


def has_selector(service: Object) -> bool:
    return bool(service["spec"].get("selector"))


def needs_cluster_ip(service: Object) -> bool:
    """Whether an address must be allocated, or is: neither headless nor just a name."""
    return not is_external_name(service) and not is_headless(service)


def needs_node_ports(service: Object) -> bool:
    """Whether each of its ports must have a port on every node."""
    spec = service["spec"]
    if spec["type"] == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return bool(spec["type"] == "NodePort")


def cluster_ips(service: Object) -> tuple[str, ...]:
    """Its virtual addresses; none when it is headless or a name."""
    found = service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP") or ""]
    return tuple(ip for ip in found if ip and ip != NO_ADDRESS)


def load_balancer_addresses(service: Object) -> tuple[str, ...]:
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    return tuple(i.get("ip") or i.get("hostname") or "" for i in ingress)


def affinity_seconds(service: Object) -> int:
    """How long a client keeps its pod; 0 when every connection may go elsewhere."""
    spec = service["spec"]
    if spec["sessionAffinity"] != "ClientIP":
        return 0
    seconds: int = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
    return seconds
