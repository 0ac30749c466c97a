"""The objects that these tests apply, as short as they can be."""

from collections.abc import Mapping
from typing import Any

from tests.images import echo

BUSYBOX = "docker.io/library/busybox:1.36"
FOR_EVER = ("sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done")


def container(
    *command: str, name: str = "main", image: str = BUSYBOX, **fields: Any
) -> dict[str, Any]:
    """Of busybox, that waits for ever unless it is given a command."""
    return {"name": name, "image": image, "command": list(command or FOR_EVER), **fields}


def shell(script: str, *, name: str = "main", **fields: Any) -> dict[str, Any]:
    return container("sh", "-c", script, name=name, **fields)


def http_echo(*, name: str = "main", **fields: Any) -> dict[str, Any]:
    """Answers on port 8080 with who it is."""
    ports = [{"name": "http", "containerPort": echo.PORT}]
    return {"name": name, "image": echo.NAME, "ports": ports, **fields}


def pod(
    name: str,
    *containers: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Gone a second after it is told to go."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {"app": name})},
        "spec": pod_spec(*containers, **spec),
    }


def pod_spec(*containers: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "terminationGracePeriodSeconds": 1,
        "containers": list(containers or (container(),)),
        **spec,
    }


def deployment(
    name: str, *containers: Mapping[str, Any], replicas: int = 1, **spec: Any
) -> dict[str, Any]:
    """`spec` is the pods'."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": pod_spec(*containers, **spec),
            },
        },
    }


def service(name: str, *, port: int = 80, target: Any = "http", **spec: Any) -> dict[str, Any]:
    """In front of the pods labelled app=NAME."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": port, "targetPort": target}],
            **spec,
        },
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
