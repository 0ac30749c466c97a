"""What a pod asks of its node.

Rule: Kubernetes, "Init Containers" and "Sidecar Containers": the sum of the containers and
sidecars, or the highest moment of the init phase, whichever is more, plus the overhead; pod-level
resources ("Assign Pod-level CPU and memory resources") replace the sum.
"""

from collections.abc import Iterable, Mapping

from k3py.api import quantities
from k3py.api.objects import Object

Amounts = dict[str, int]


def requests(pod: Object) -> Amounts:
    """The requests by resource: cpu in thousandths, the rest in units."""
    return _total(pod["spec"], "requests")


def limits(pod: Object) -> Amounts:
    """The limits by resource; a resource that some container does not limit is left out."""
    spec = pod["spec"]
    total = _total(spec, "limits")
    everyone = [c.get("resources", {}).get("limits") or {} for c in spec["containers"]]
    return {name: n for name, n in total.items() if all(name in limit for limit in everyone)}


def amounts(quantities_by_name: Mapping[str, str] | None) -> Amounts:
    """A ResourceList as numbers."""
    return {name: amount(name, text) for name, text in (quantities_by_name or {}).items()}


def amount(resource: str, text: str | float) -> int:
    """A quantity as it is counted: cpu in thousandths, the rest in units."""
    return quantities.millis(text) if resource == "cpu" else quantities.whole(text)


def _total(spec: Object, which: str) -> Amounts:
    running = _sum(_of(c, which) for c in spec["containers"])
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, which)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, own))
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _sum((sidecars, own)))
    total = _most(_sum((running, sidecars)), peak)
    total |= amounts((spec.get("resources") or {}).get(which))
    return _sum((total, amounts(spec.get("overhead")))) if total else total


def _of(container: Object, which: str) -> Amounts:
    return amounts((container.get("resources") or {}).get(which))


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
