"""Pods nobody will finish: ended ones beyond a number, those of nodes that are gone, and those
deleted before any node had them."""

from collections.abc import Iterable

from k3py.api import conditions, errors, meta
from k3py.api.objects import Key, Object
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers import parallel
from k3py.controllers.controller import Loop, pods_by_node
from k3py.kinds import NODE, POD
from k3py.kinds.core import pod as pods

ENDED_KEPT = 1000
"""Kubernetes keeps 12,500; a Pi has better uses for the memory."""
NODE_SECONDS = 40
"""How long a node may be gone before its pods are: it may only be registering anew."""
ENDED_SECONDS = 20
_ENDED = "ended"


class PodCleanup(Loop[str]):
    """Its keys are `ended`, `node/<name>` and `pod/<namespace>/<name>`."""

    def __init__(
        self,
        client: CachedClient,
        informers: Informers,
        recorder: Recorder,
        clock: Clock,
        *,
        ended_kept: int = ENDED_KEPT,
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._ended_kept = ended_kept
        self._nodes = informers.of(NODE).cache
        self._pods = informers.of(POD).cache
        self._pods_on = pods_by_node(informers)
        self.attend(informers.of(NODE), self._node_changed)
        self.attend(informers.of(POD), self._pod_changed)

    def reconcile(self, key: str) -> None:
        what, _, name = key.partition("/")
        if what == "node":
            self._clean_node(name)
        elif what == "pod":
            self._clean_unscheduled(Key(*name.split("/")))
        else:
            self._clean_ended()

    def _clean_node(self, name: str) -> None:
        """Delete the pods of a node that does not exist, by force: nobody else can."""
        if self._pods_on(name) and not self._exists(name):
            self._delete(self._pods_on(name), why="node no longer exists")

    def _clean_unscheduled(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod and meta.is_deleting(pod) and not pods.is_scheduled(pod):
            self._delete([pod])

    def _clean_ended(self) -> None:
        ended = [p for p in self._pods.list() if pods.is_finished(p) and not meta.is_deleting(p)]
        ended.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        self._delete(ended[: max(0, len(ended) - self._ended_kept)])

    def _delete(self, found: Iterable[Object], *, why: str = "") -> None:
        refusals = parallel.each(list(found), lambda pod: self._delete_one(pod, why))
        if refusals:
            raise refusals[0]

    def _delete_one(self, pod: Object, why: str) -> None:
        try:
            if why and not pods.is_finished(pod):
                self._fail(pod, why)
            self.client.delete(POD, meta.key(pod), grace=0, uid=meta.uid(pod))
        except errors.NotFound:
            return
        self.log.info("pod cleaned up", pod=meta.key(pod), why=why or "ended or never scheduled")

    def _fail(self, pod: Object, why: str) -> None:
        """Let whoever still watches the pod see how it ended."""
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": f"PodGC: {why}",
        }
        old = pod["status"].get("conditions") or []
        found = conditions.updated(old, condition, self.clock.now())
        status = pod["status"] | {"phase": "Failed", "conditions": found}
        self.client.update(POD, pod | {"status": status}, subresource="status")

    def _exists(self, name: str) -> bool:
        """Asked of the API itself: much is lost when a cache is wrong about this."""
        if self._nodes.get(Key("", name)):
            return True
        try:
            self.client.live.get(NODE, Key("", name))
        except errors.NotFound:
            return False
        return True

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.queue.add_after(f"node/{old['metadata']['name']}", NODE_SECONDS)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        node = pods.node_name(new)
        if node and not self._nodes.get(Key("", node)):
            self.queue.add_after(f"node/{node}", NODE_SECONDS)
        if not node and meta.is_deleting(new):
            self.queue.add(f"pod/{meta.key(new)}")
        if pods.is_finished(new):
            self.queue.add_after(_ENDED, ENDED_SECONDS)
