"""Taints that make pods leave: NoExecute, at once or after as long as the pod tolerates it.

How long is counted by our own clock from when the taint is first seen here, as Kubernetes
does: a time of day that is put right, or a server that was off, moves no pod too early.
"""

from collections.abc import Sequence
from typing import NamedTuple

from k3py.api import conditions, errors, meta
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import NORMAL, Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Loop, pods_by_node
from k3py.controllers.node_taints import NO_EXECUTE
from k3py.kinds import NODE, POD
from k3py.kinds.core import node as nodes
from k3py.kinds.core import pod as pods
from k3py.kinds.core import taints

_MESSAGE = "Taint manager: deleting due to NoExecute taint"


class _Doomed(NamedTuple):
    """A pod that will have to leave, and since when it is known."""

    uid: str
    since: float


class TaintEvictionController(Loop[Key]):
    workers = 2
    component = "taint-eviction-controller"

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._doomed: dict[Key, _Doomed] = {}
        self._nodes = informers.of(NODE).cache
        self._pods = informers.of(POD).cache
        self._pods_on = pods_by_node(informers)
        self.attend(informers.of(NODE), self._node_changed)
        self.attend(informers.of(POD), self._pod_changed)

    def reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None or meta.is_deleting(pod):
            self._doomed.pop(key, None)
            return
        node = self._nodes.get(Key("", pods.node_name(pod)))
        seconds = patience(pod, _evicting(node)) if node else None
        if seconds is None:
            if self._doomed.pop(key, None):
                self._tell(pod, f"Cancelling deletion of Pod {key}")
            return
        now = self.clock.monotonic()
        doomed = self._doomed.get(key)
        if doomed is None or doomed.uid != meta.uid(pod):
            doomed = self._doomed[key] = _Doomed(meta.uid(pod), now)
        left = doomed.since + seconds - now
        if left > 0:
            self.queue.add_after(key, left)
        else:
            self._evict(pod)

    def _evict(self, pod: Object) -> None:
        key = meta.key(pod)
        self._tell(pod, f"Marking for deletion Pod {key}")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": _MESSAGE,
        }
        found = conditions.updated(
            pod["status"].get("conditions") or [], condition, self.clock.now()
        )
        status = pod["status"] | {"conditions": found}
        try:
            self.client.update(POD, pod | {"status": status}, subresource="status")
            self.client.delete(POD, key, uid=meta.uid(pod))
        except errors.NotFound:
            return

    def _tell(self, pod: Object, message: str) -> None:
        self.recorder.event(POD, pod, NORMAL, "TaintManagerEviction", message)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        before, after = (_evicting(node) if node else [] for node in (old, new))
        node = new or old
        if before != after and node:
            for pod in self._pods_on(node["metadata"]["name"]):
                self.queue.add(meta.key(pod))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        node = self._nodes.get(Key("", pods.node_name(pod)))
        if meta.key(pod) in self._doomed or (node and _evicting(node)):
            self.queue.add(meta.key(pod))


def patience(pod: Object, evicting: Sequence[Object]) -> float | None:
    """For how many seconds `pod` may stay on a node with these taints; None: for ever.

    Of the tolerations for a taint the most patient does not help: the shortest counts, and so
    it does of several taints (Kubernetes' rule).
    """
    tolerations = pod["spec"].get("tolerations") or ()
    limits: list[float] = []
    for taint in evicting:
        patient = [t for t in tolerations if taints.tolerates(t, taint)]
        if not patient:
            return 0
        found = [t["tolerationSeconds"] for t in patient if t.get("tolerationSeconds") is not None]
        limits += [max(0, min(found))] if found else []
    return min(limits, default=None)


def _evicting(node: Object) -> Objects:
    return [taint for taint in nodes.taints(node) if taint["effect"] == NO_EXECUTE]
