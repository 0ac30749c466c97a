"""Services and EndpointSlices as the API has them, for tests to take and change."""

from typing import Any

Object = dict[str, Any]


def service(name: str, ip: str, *ports: Object, **spec: Any) -> Object:
    """`ports` default to one: TCP 80."""
    status = spec.pop("status", {})
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": list(ports) or [port(80)],
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            **spec,
        },
        "status": status,
    }


def port(number: int, name: str = "", protocol: str = "TCP", node_port: int = 0) -> Object:
    made: Object = {"port": number, "protocol": protocol, "targetPort": 8080}
    return made | ({"name": name} if name else {}) | ({"nodePort": node_port} if node_port else {})


def slice_(name: str, *endpoints: Object, ports: tuple[Object, ...] = ()) -> Object:
    """The slice of the Service `name`; its port is 8080/TCP unless told."""
    return {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": list(ports) or [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, node: str = "node1", **conditions: bool) -> Object:
    said = {"ready": True, "serving": True, "terminating": False} | conditions
    return {"addresses": [address], "nodeName": node, "conditions": said}
