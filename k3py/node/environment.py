"""A container's environment: env, envFrom, the downward API, and the Services around it."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Protocol

from k3py.api import errors, meta, quantities
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects
from k3py.kinds import CONFIG_MAP, SECRET
from k3py.node.runtime.specs import expand

# Services of the cluster itself are seen from every namespace.
_MASTER_SERVICES = ("kubernetes",)


class ConfigProblem(Exception):
    """The container's configuration cannot be had; the message is Kubernetes'."""


class Sources(Protocol):
    """Where config maps and secrets come from."""

    def get(self, kind: Kind, key: Key) -> Object:
        """Raises errors.NotFound, errors.Forbidden and what else the API answers."""


@dataclass(frozen=True)
class Facts:
    """What the downward API can say beyond the pod's own object."""

    node_name: str
    host_ips: tuple[str, ...]
    pod_ips: tuple[str, ...]
    cpus: int
    memory: int


def environment(
    pod: Object,
    container: Object,
    *,
    sources: Sources,
    facts: Facts,
    services: Callable[[], Objects],
) -> dict[str, str]:
    """All variables, the container's own over those of envFrom over those of Services.

    Raises ConfigProblem; errors.ApiError when the API does not answer.
    """
    found: dict[str, str] = {}
    if pod["spec"].get("enableServiceLinks", True):
        found |= service_links(services(), pod["metadata"]["namespace"])
    else:
        found |= service_links(services(), "")
    for source in container.get("envFrom") or ():
        found |= _all_of(pod, source, sources)
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("valueFrom"):
            value = _value(pod, container, variable["valueFrom"], sources, facts)
            if value is not None:
                found[name] = value
        else:
            found[name] = expand(variable.get("value") or "", found)
    return found


def service_links(services: Objects, namespace: str) -> dict[str, str]:
    """NAME_SERVICE_HOST and its kin, for the Services of a namespace and the API's own."""
    found: dict[str, str] = {}
    for service in services:
        key = meta.key(service)
        master = key.namespace == "default" and key.name in _MASTER_SERVICES
        address = service["spec"].get("clusterIP")
        if (key.namespace == namespace or master) and address not in (None, "", "None"):
            found |= dict(_links(key.name, address, service["spec"].get("ports") or []))
    return found


def field(pod: Object, path: str, facts: Facts) -> str:
    """A fieldRef's value. Raises ConfigProblem for a field there is none of."""
    metadata, spec = pod["metadata"], pod["spec"]
    for name, values in (("labels", meta.labels(pod)), ("annotations", meta.annotations(pod))):
        if path == f"metadata.{name}":
            return "\n".join(f"{k}={_quoted(v)}" for k, v in sorted(values.items()))
        prefix = f"metadata.{name}['"
        if path.startswith(prefix) and path.endswith("']"):
            return str(values.get(path[len(prefix) : -2], ""))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": next(iter(facts.host_ips), ""),
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": next(iter(facts.pod_ips), ""),
        "status.podIPs": ",".join(facts.pod_ips),
    }
    if path not in simple:
        raise ConfigProblem(f"unsupported fieldPath: {path}")
    return str(simple[path])


def resource(pod: Object, container: Object, reference: Object, facts: Facts) -> str:
    """A resourceFieldRef's value: what is unlimited is the node's whole."""
    name = reference.get("containerName") or container["name"]
    every = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    about = next((c for c in every if c["name"] == name), None)
    if about is None:
        raise ConfigProblem(f"container {name} not found")
    which, _, what = reference["resource"].partition(".")
    said = (about.get("resources") or {}).get(which) or {}
    amount = said.get(what)
    if amount is None and which == "limits":
        amount = {"cpu": str(facts.cpus), "memory": str(facts.memory)}.get(what)
    divisor = quantities.parse(reference.get("divisor") or "1") or 1
    value = quantities.parse(amount or 0) / divisor
    return str(int(value.to_integral_value(ROUND_CEILING)))


def _all_of(pod: Object, source: Object, sources: Sources) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for kind, which in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
        reference = source.get(which)
        if reference:
            found = _object(pod, kind, reference, sources)
            return {f"{prefix}{k}": v for k, v in texts(kind, found or {}).items()}
    return {}


def _value(
    pod: Object, container: Object, source: Object, sources: Sources, facts: Facts
) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], facts)
    if "resourceFieldRef" in source:
        return resource(pod, container, source["resourceFieldRef"], facts)
    for kind, which in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
        reference = source.get(which)
        if reference:
            return _key(pod, kind, reference, sources)
    raise ConfigProblem("invalid valueFrom: nothing it could come from is named")


def _key(pod: Object, kind: Kind, reference: Object, sources: Sources) -> str | None:
    found = _object(pod, kind, reference, sources)
    value = texts(kind, found).get(reference["key"]) if found else None
    if value is None and found is not None and not reference.get("optional"):
        place = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigProblem(f"couldn't find key {reference['key']} in {kind.kind} {place}")
    return value


def _object(pod: Object, kind: Kind, reference: Object, sources: Sources) -> Object | None:
    """The config map or secret; None where it is optional and not there."""
    name = reference.get("name") or ""
    try:
        return sources.get(kind, Key(pod["metadata"]["namespace"], name))
    except errors.NotFound as missing:
        if reference.get("optional"):
            return None
        raise ConfigProblem(f'{kind.singular} "{name}" not found') from missing


def texts(kind: Kind, obj: Object) -> dict[str, str]:
    """The keys of a config map or a secret whose values are text."""
    if kind is CONFIG_MAP:
        return dict(obj.get("data") or {})
    raw = {k: base64.b64decode(v or "") for k, v in (obj.get("data") or {}).items()}
    return {k: v.decode(errors="surrogateescape") for k, v in raw.items()}


def _links(name: str, address: str, ports: Objects) -> Iterator[tuple[str, str]]:
    prefix = name.upper().replace("-", "_")
    yield f"{prefix}_SERVICE_HOST", address
    for index, port in enumerate(ports):
        number = str(port["port"])
        if index == 0:
            yield f"{prefix}_SERVICE_PORT", number
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}", number
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{_host(address)}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        link = f"{prefix}_PORT_{number}_{protocol}"
        yield link, url
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", number
        yield f"{link}_ADDR", address


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _quoted(text: str) -> str:
    """As Go quotes a string: what the downward API's files contain."""

    return json.dumps(text, ensure_ascii=False)
