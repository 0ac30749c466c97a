"""What the API server must know about pods."""

import contextlib
from collections.abc import Iterable

from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds.core.pod import columns, questions, updates, validation
from k3py.kinds.core.pod.defaults import default_pod


class PodKind(Kind):
    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare(self, obj: Object, old: Object | None) -> None:
        if old is None:
            obj["status"] = {"phase": "Pending"}
            with contextlib.suppress(ValueError):  # a quantity that is none is validate's to name
                obj["status"]["qosClass"] = questions.qos_class(obj)

    def validate(self, obj: Object, old: Object | None) -> Iterable[Problem]:
        yield from validation.problems(obj)
        if old is None:
            yield from validation.creation_problems(obj)
        else:
            yield from updates.problems(obj, old)

    def validate_status(self, obj: Object, old: Object) -> Iterable[Problem]:
        return updates.status_problems(obj, old)


POD = PodKind(
    "v1",
    "Pod",
    "pods",
    short_names=("po",),
    has_status=True,
    categories=("all",),
    subresources=(
        "attach",
        "binding",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
    ),
    selectable={
        "spec.nodeName": lambda pod: pod["spec"].get("nodeName") or "",
        "spec.restartPolicy": lambda pod: pod["spec"]["restartPolicy"],
        "spec.schedulerName": lambda pod: pod["spec"]["schedulerName"],
        "spec.serviceAccountName": lambda pod: pod["spec"].get("serviceAccountName") or "",
        "spec.hostNetwork": lambda pod: "true" if pod["spec"].get("hostNetwork") else "false",
        "status.phase": lambda pod: pod["status"].get("phase") or "",
        "status.podIP": lambda pod: pod["status"].get("podIP") or "",
        "status.podIPs": lambda pod: ",".join(ip["ip"] for ip in pod["status"].get("podIPs") or ()),
        "status.nominatedNodeName": lambda pod: pod["status"].get("nominatedNodeName") or "",
    },
    columns=(
        Column("Ready", columns.ready),
        Column("Status", columns.status),
        Column("Restarts", columns.restarts),
        AGE,
        Column("IP", columns.address, priority=1),
        Column("Node", columns.node, priority=1),
        Column("Nominated Node", columns.nominated_node, priority=1),
        Column("Readiness Gates", columns.readiness_gates, priority=1),
    ),
)
