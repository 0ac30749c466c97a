"""Questions to ask of a pod."""

from collections.abc import Iterator, Mapping
from decimal import ROUND_UP, Decimal
from typing import NamedTuple

from k3py.api import conditions, quantities
from k3py.api.objects import Object, Objects


class Amounts(NamedTuple):
    """Resources of a whole pod: CPU in thousandths, memory in bytes, all others in units."""

    cpu: int = 0
    memory: int = 0
    other: Mapping[str, int] = {}


class HostPort(NamedTuple):
    """A port of the node; `ip` is 0.0.0.0 for all of its addresses."""

    ip: str
    protocol: str
    port: int


def phase(pod: Object) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    found: str = pod["status"]["phase"]
    return found


def is_finished(pod: Object) -> bool:
    """Whether all its containers have ended for good."""
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    return conditions.is_true(pod, "Ready")


def node_name(pod: Object) -> str:
    """The node it runs on; empty when it waits for one."""
    return pod["spec"].get("nodeName") or ""


def is_scheduled(pod: Object) -> bool:
    return bool(pod["spec"].get("nodeName"))


def is_sidecar(container: Object) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def containers(pod: Object) -> Iterator[Object]:
    """Every container of a pod's spec: init containers first, then the others."""
    yield from pod["spec"].get("initContainers") or ()
    yield from pod["spec"]["containers"]


def host_ports(pod: Object) -> set[HostPort]:
    """The ports of its node that a pod needs for itself."""
    return {
        HostPort(p.get("hostIP") or "0.0.0.0", p["protocol"], p["hostPort"])  # noqa: S104
        for container in containers(pod)
        for p in container.get("ports") or ()
        if p.get("hostPort")
    }


def requests(pod: Object) -> Amounts:
    """What a node must have free for it: init containers and overhead counted."""
    return _amounts(pod, "requests")


def limits(pod: Object) -> Amounts:
    """What it may use at most; a resource that some container leaves open still sums the rest."""
    return _amounts(pod, "limits")


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort: who goes first when the node runs out.

    Rule: Kubernetes, "Pod Quality of Service Classes".
    """
    spec = pod["spec"]
    every = [spec] if spec.get("resources") else list(containers(pod))
    asked = [_cpu_and_memory(c, "requests") for c in every]
    limited = [_cpu_and_memory(c, "limits") for c in every]
    if not any(asked) and not any(limited):
        return "BestEffort"
    full = all(len(limit) == 2 for limit in limited)
    return "Guaranteed" if full and asked == limited else "Burstable"


def _cpu_and_memory(container: Object, which: str) -> dict[str, Decimal]:
    found = (container.get("resources") or {}).get(which) or {}
    return {
        name: amount
        for name in ("cpu", "memory")
        if name in found and (amount := quantities.parse(found[name]))
    }


def _amounts(pod: Object, which: str) -> Amounts:
    spec = pod["spec"]
    total = _sum(spec["containers"], which)
    sidecars: dict[str, Decimal] = {}
    peak: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, which)
        if is_sidecar(container):
            sidecars = _plus(sidecars, own)
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _plus(sidecars, own))
    total = _most(_plus(total, sidecars), peak)
    total |= _of(spec, which)  # what is said for the pod as a whole counts instead
    if overhead := spec.get("overhead"):
        total = _plus(total, {n: quantities.parse(q) for n, q in overhead.items()})
    cpu, memory = total.pop("cpu", Decimal()), total.pop("memory", Decimal())
    return Amounts(_up(cpu * 1000), _up(memory), {n: _up(q) for n, q in total.items()})


def _of(container: Object, which: str) -> dict[str, Decimal]:
    found = (container.get("resources") or {}).get(which) or {}
    return {name: quantities.parse(text) for name, text in found.items()}


def _sum(every: Objects, which: str) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for container in every:
        total = _plus(total, _of(container, which))
    return total


def _plus(a: dict[str, Decimal], b: dict[str, Decimal]) -> dict[str, Decimal]:
    return a | {name: a.get(name, Decimal()) + amount for name, amount in b.items()}


def _most(a: dict[str, Decimal], b: dict[str, Decimal]) -> dict[str, Decimal]:
    return a | {name: max(a.get(name, amount), amount) for name, amount in b.items()}


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_UP))
