"""ReplicaSets: keep as many pods alive as each one asks for."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from k3py.api import conditions, errors, labels, meta, times
from k3py.api.objects import Key, Object, Objects, copy
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.client.informer import Informers
from k3py.controllers import adoption, parallel
from k3py.controllers.controller import Controller
from k3py.kinds import POD, REPLICA_SET
from k3py.kinds.core import pod as pods

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
BURST = 500
"""How many pods are made or deleted before looking again."""


class ReplicaSetController(Controller):
    kind = REPLICA_SET
    component = "replicaset-controller"
    owns = (POD,)
    workers = 4

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._sets = informers.of(REPLICA_SET).cache

    def reconcile(self, key: Key) -> None:
        rs = self.find(key)
        if rs is None:
            return
        mine = [p for p in adoption.claimed(self, rs, POD) if not pods.is_finished(p)]
        alive = [p for p in mine if not meta.is_deleting(p)]
        if meta.is_deleting(rs) or len(alive) == rs["spec"]["replicas"]:
            self._tell(rs, alive, len(mine) - len(alive), None)
        elif refusal := self._resize(rs, alive):
            self._tell(rs, alive, len(mine) - len(alive), refusal)
            raise refusal
        # Otherwise the pods that came or went bring us back, to count them.

    def claimants(self, orphan: Object) -> Iterable[Key]:
        found = meta.labels(orphan)
        for rs in self._sets.list(orphan["metadata"]["namespace"]):
            if labels.selector(rs["spec"]["selector"]).matches(found):
                yield meta.key(rs)

    def _resize(self, rs: Object, alive: Objects) -> errors.ApiError | None:
        """Create what is missing, delete what is too much; what the API had against it."""
        wanted = rs["spec"]["replicas"]
        missing = min(BURST, wanted - len(alive))
        if missing > 0:
            pod = new_pod(rs)
            _, refusal = parallel.slowly([pod] * missing, lambda pod: self._create(rs, pod))
            return refusal
        ranked = sorted(alive, key=first_to_go(self._neighbours(rs), self.clock.now()))
        extra = ranked[: min(BURST, len(alive) - wanted)]
        refusals = parallel.each(extra, lambda pod: self._delete(rs, pod))
        return refusals[0] if refusals else None

    def _create(self, rs: Object, pod: Object) -> None:
        try:
            created = self.client.create(POD, pod)
        except errors.ApiError as refusal:
            if not errors.is_namespace_terminating(refusal):
                message = f"Error creating: {refusal}"
                self.recorder.event(REPLICA_SET, rs, WARNING, "FailedCreate", message)
            raise
        message = f"Created pod: {created['metadata']['name']}"
        self.recorder.event(REPLICA_SET, rs, NORMAL, "SuccessfulCreate", message)

    def _delete(self, rs: Object, pod: Object) -> None:
        try:
            self.client.delete(POD, meta.key(pod), uid=meta.uid(pod))
        except errors.NotFound:
            return
        except errors.ApiError as refusal:
            message = f"Error deleting: {refusal}"
            self.recorder.event(REPLICA_SET, rs, WARNING, "FailedDelete", message)
            raise
        message = f"Deleted pod: {pod['metadata']['name']}"
        self.recorder.event(REPLICA_SET, rs, NORMAL, "SuccessfulDelete", message)

    def _neighbours(self, rs: Object) -> dict[str, int]:
        """How many pods each node has of this ReplicaSet and of its siblings in a rollout."""
        owner = meta.controller(rs)
        family = self._sets.by("controller", owner["uid"]) if owner else [rs]
        counts: dict[str, int] = {}
        for member in family:
            for pod in self.owned(POD, member):
                node = pods.node_name(pod)
                if node and not pods.is_finished(pod) and not meta.is_deleting(pod):
                    counts[node] = counts.get(node, 0) + 1
        return counts

    def _tell(
        self, rs: Object, alive: Objects, terminating: int, refusal: errors.ApiError | None
    ) -> None:
        now = self.clock.now()
        status = status_of(rs, alive, terminating, refusal, now)
        self.report(rs, status)
        ready = status.get("readyReplicas", 0)
        if ready != status.get("availableReplicas", 0):
            waits = [_seconds_to_available(rs, pod, now) for pod in alive if pods.is_ready(pod)]
            self.queue.add_after(meta.key(rs), min(w for w in waits if w > 0))


def new_pod(rs: Object) -> Object:
    """A pod from the template of `rs`; the API gives it its name."""
    template = copy(rs["spec"]["template"])
    about = {
        k: v
        for k, v in template["metadata"].items()
        if k in ("labels", "annotations", "finalizers") and v
    }
    about["generateName"] = f"{rs['metadata']['name']}-"
    about["namespace"] = rs["metadata"]["namespace"]
    about["ownerReferences"] = [meta.controller_ref(REPLICA_SET, rs)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}


def status_of(
    rs: Object,
    alive: Objects,
    terminating: int,
    refusal: errors.ApiError | None,
    now: datetime,
) -> Object:
    template = labels.from_map(rs["spec"]["template"]["metadata"].get("labels"))
    counts = {
        "fullyLabeledReplicas": sum(template.matches(meta.labels(pod)) for pod in alive),
        "readyReplicas": sum(map(pods.is_ready, alive)),
        "availableReplicas": sum(_seconds_to_available(rs, pod, now) <= 0 for pod in alive),
    }
    status: Object = {"replicas": len(alive)} | {name: n for name, n in counts.items() if n}
    status |= {"terminatingReplicas": terminating, "observedGeneration": _generation(rs)}
    old = rs.get("status", {}).get("conditions") or []
    if found := _conditions(rs, old, len(alive), refusal, now):
        status["conditions"] = found
    return status


def first_to_go(
    neighbours: dict[str, int], now: datetime
) -> Callable[[Object], tuple[object, ...]]:
    """A sort key: which pods to give up first when there are too many.

    Those without a node, not running, not ready, cheap to delete, crowded on their node, ready
    for a short time, often restarted, young. Ages are compared by their logarithm, so that of
    pods about equally old not always the youngest goes (Kubernetes' order and reasons).
    """

    def key(pod: Object) -> tuple[object, ...]:
        ready = conditions.find(pod, "Ready")
        is_ready = pods.is_ready(pod)
        return (
            pods.is_scheduled(pod),
            {"Pending": 0, "Unknown": 1}.get(pods.phase(pod), 2),
            is_ready,
            _deletion_cost(pod),
            -neighbours.get(pods.node_name(pod), 0),
            _magnitude(ready.get("lastTransitionTime"), now) if ready and is_ready else 0,
            -sum(c["restartCount"] for c in pod["status"].get("containerStatuses") or ()),
            _magnitude(pod["metadata"]["creationTimestamp"], now),
            meta.uid(pod),
        )

    return key


def _conditions(
    rs: Object, old: Objects, alive: int, refusal: errors.ApiError | None, now: datetime
) -> Objects:
    """Those there are, with ReplicaFailure exactly when something was refused."""
    had = any(c["type"] == "ReplicaFailure" for c in old)
    if refusal is None:
        return [c for c in old if c["type"] != "ReplicaFailure"]
    if had:
        return old
    reason = "FailedCreate" if alive < rs["spec"]["replicas"] else "FailedDelete"
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": reason,
        "message": str(refusal),
    }
    return conditions.updated(old, failure, now)


def _seconds_to_available(rs: Object, pod: Object, now: datetime) -> float:
    """How long until `pod` has been ready for minReadySeconds; infinite when it is not ready."""
    ready = conditions.find(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return math.inf
    patience: int = rs["spec"].get("minReadySeconds", 0)
    if not patience or "lastTransitionTime" not in ready:
        return 0
    since = times.parse(ready["lastTransitionTime"])
    return patience - (now - since) / timedelta(seconds=1)


def _deletion_cost(pod: Object) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _magnitude(since: str | None, now: datetime) -> int:
    """The logarithm of an age in seconds."""
    if since is None:
        return 0
    return int(math.log2(max(1.0, (now - times.parse(since)) / timedelta(seconds=1))))


def _generation(rs: Object) -> int:
    found: int = rs["metadata"].get("generation", 0)
    return found
