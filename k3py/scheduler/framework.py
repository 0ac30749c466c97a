"""What a plugin sees, and what it may answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from k3py.api import labels, meta
from k3py.api.objects import Key, Object
from k3py.kinds.core import node as nodes
from k3py.kinds.core import pod as pods
from k3py.kinds.core.pod import Amounts, HostPort

PODS = "pods"


@dataclass(frozen=True, eq=False)
class PodInfo:
    """A pod, reduced to what decides where it may run.

    `requests` are in thousandths for cpu, in units otherwise; `owner` is the uid of its
    controller, "" when it has none.
    """

    key: Key
    uid: str
    labels: Mapping[str, str]
    priority: int
    requests: Mapping[str, int]
    ports: frozenset[HostPort]
    node_selector: Mapping[str, str]
    node_affinity: Mapping[str, Any]
    tolerations: Sequence[Mapping[str, Any]]
    spread: Sequence[Mapping[str, Any]]
    owner: str
    terminating: bool

    @classmethod
    def of(cls, pod: Object) -> "PodInfo":
        spec, owner = pod["spec"], meta.controller(pod)
        return cls(
            key=meta.key(pod),
            uid=meta.uid(pod),
            labels=meta.labels(pod),
            priority=spec.get("priority") or 0,
            requests=_by_name(pods.requests(pod)),
            ports=frozenset(pods.host_ports(pod)),
            node_selector=spec.get("nodeSelector") or {},
            node_affinity=(spec.get("affinity") or {}).get("nodeAffinity") or {},
            tolerations=spec.get("tolerations") or (),
            spread=spec.get("topologySpreadConstraints") or (),
            owner=owner["uid"] if owner else "",
            terminating=meta.is_deleting(pod),
        )


@dataclass(eq=False)
class NodeInfo:
    """A node as it will be with the pods promised to it. Only the snapshot changes it."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, Any]]
    unschedulable: bool
    allocatable: Mapping[str, int]
    pods: dict[str, PodInfo] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Object) -> "NodeInfo":
        spec = node.get("spec") or {}
        return cls(
            name=node["metadata"]["name"],
            labels=meta.labels(node),
            taints=spec.get("taints") or (),
            unschedulable=bool(spec.get("unschedulable")),
            allocatable=_by_name(nodes.allocatable(node)),
        )

    def add(self, pod: PodInfo) -> None:
        self.remove(pod.uid)
        self.pods[pod.uid] = pod
        for name, wanted in pod.requests.items():
            self.used[name] = self.used.get(name, 0) + wanted

    def remove(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        for name, wanted in pod.requests.items() if pod else ():
            self.used[name] -= wanted


class Filter(Protocol):
    def filter(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> str | None:
        """Why `pod` cannot run on `node`, in Kubernetes' words; None when it can."""


class Score(Protocol):
    weight: int

    def score(self, pod: PodInfo, node: NodeInfo, nodes: Sequence[NodeInfo]) -> float:
        """How much `pod` would like `node`, from 0 to 100."""


def term_matches(expressions: Iterable[Mapping[str, Any]], values: Mapping[str, str]) -> bool:
    """Whether all of a NodeSelectorTerm's requirements hold."""
    return all(
        labels.Requirement(e["key"], e["operator"], frozenset(e.get("values") or ())).matches(
            values
        )
        for e in expressions
    )


def _by_name(amounts: Amounts) -> dict[str, int]:
    return {"cpu": amounts.cpu, "memory": amounts.memory, **amounts.other}
