"""Nodes: the machines pods run on."""

from collections.abc import Iterator

from k3py.api import conditions, labels, quantities
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object, Objects
from k3py.kinds import problems as wrong
from k3py.kinds.core.pod import Amounts
from k3py.kinds.defaults import section

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE = "kubernetes.io/role"
_NONE = "<none>"


def is_ready(node: Object) -> bool:
    return conditions.is_true(node, "Ready")


def is_schedulable(node: Object) -> bool:
    """Whether it is not cordoned."""
    return not node["spec"].get("unschedulable")


def taints(node: Object) -> Objects:
    found: Objects = node["spec"].get("taints") or []
    return found


def internal_ip(node: Object) -> str:
    """Its first internal address; empty when it has told none."""
    return _address(node, "InternalIP")


def pod_cidr(node: Object) -> str:
    """The range its pods' addresses come from; empty until it is allocated."""
    return node["spec"].get("podCIDR") or ""


def allocatable(node: Object) -> Amounts:
    """What all its pods together may ask for."""
    found = dict((node.get("status") or {}).get("allocatable") or {})
    cpu, memory = found.pop("cpu", "0"), found.pop("memory", "0")
    rest = {name: quantities.whole(amount) for name, amount in found.items()}
    return Amounts(quantities.millis(cpu), quantities.whole(memory), rest)


def roles(node: Object) -> list[str]:
    """What labels say it is for, sorted."""
    found = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX):
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE:
            found.add(value)
    return sorted(found - {""})


class NodeKind(Kind):
    def default(self, obj: Object) -> None:
        section(obj, "spec")
        status = section(obj, "status")
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        yield from _taint_problems(taints(obj))
        if old is not None:
            yield from _fixed(obj["spec"], old["spec"])


def _taint_problems(found: Objects) -> Iterator[Problem]:
    seen = set()
    for index, taint in enumerate(found):
        path = f"spec.taints[{index}]"
        key, value, effect = (taint.get(n) or "" for n in ("key", "value", "effect"))
        if not labels.is_key(key):
            yield wrong.invalid(f"{path}.key", key, wrong.KEY_RULE)
        if not labels.is_value(value):
            yield wrong.invalid(f"{path}.value", value, wrong.VALUE_RULE)
        yield from wrong.one_of(f"{path}.effect", effect, _EFFECTS)
        if (key, effect) in seen:
            problem = wrong.duplicate(path, taint)
            unique = "taints must be unique by key and effect pair"
            yield problem._replace(message=f"{problem.message}: {unique}")
        seen.add((key, effect))


def _fixed(spec: Object, was: Object) -> Iterator[Problem]:
    """What a node is given once and keeps."""
    for name, field in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if was.get(name) and spec.get(name) != was[name]:
            yield wrong.forbidden(
                f"spec.{name}", f'node updates may not change {field} except from "" to valid'
            )
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        yield wrong.invalid("spec.podCIDRs", [], "first value must match `podCIDR`")


def _status(node: Object) -> str:
    ready = conditions.find(node, "Ready")
    said = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    return said if is_schedulable(node) else f"{said},SchedulingDisabled"


def _address(node: Object, kind: str) -> str:
    for address in (node.get("status") or {}).get("addresses") or ():
        if address["type"] == kind:
            return str(address["address"])
    return ""


def _info(node: Object, name: str) -> str:
    return ((node.get("status") or {}).get("nodeInfo") or {}).get(name) or ""


def _info_column(title: str, name: str) -> Column:
    return Column(title, lambda node: _info(node, name) or "<unknown>", priority=1)


NODE = NodeKind(
    "v1",
    "Node",
    "nodes",
    short_names=("no",),
    namespaced=False,
    has_status=True,
    subresources=("proxy",),
    selectable={
        "spec.unschedulable": lambda node: "false" if is_schedulable(node) else "true",
    },
    columns=(
        Column("Status", _status),
        Column("Roles", lambda node: ",".join(roles(node)) or _NONE),
        AGE,
        Column("Version", lambda node: _info(node, "kubeletVersion")),
        Column("Internal-IP", lambda node: internal_ip(node) or _NONE, priority=1),
        Column("External-IP", lambda node: _address(node, "ExternalIP") or _NONE, priority=1),
        _info_column("OS-Image", "osImage"),
        _info_column("Kernel-Version", "kernelVersion"),
        _info_column("Container-Runtime", "containerRuntimeVersion"),
    ),
)
