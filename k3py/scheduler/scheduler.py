"""The loop: next pod → place → bind."""

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.conditions import find, updated
from k3py.api.objects import Key, Object
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.client.informer import Informers
from k3py.scheduler import plugins
from k3py.scheduler.backlog import Backlog
from k3py.scheduler.framework import PodInfo
from k3py.scheduler.placement import Unschedulable, place
from k3py.scheduler.snapshot import FINISHED, Snapshot

NAME = "default-scheduler"
_SYNC_SECONDS = 60
log = Log("k3py.scheduler")


class Scheduler:
    """Binds each pod that names this scheduler to the node that suits it best."""

    def __init__(
        self, client: Client, informers: Informers, recorder: Recorder, clock: Clock = SYSTEM
    ) -> None:
        self._client, self._recorder, self._clock = client, recorder, clock
        self._informers = informers
        self._snapshot, self._backlog = Snapshot(), Backlog(clock)
        self._pods = informers.of(kinds.POD)
        self._nodes = informers.of(kinds.NODE)
        # Nodes first: a pod bound to a node that is not known yet costs a detour.
        self._nodes.subscribe(self._node_changed)
        self._pods.subscribe(self._pod_changed)

    def run(self, stop: threads.Stop) -> None:
        def close() -> None:
            stop.wait()
            self._backlog.close()

        threads.spawn("scheduler/stop", close)
        self._nodes.wait_synced(_SYNC_SECONDS)
        self._pods.wait_synced(_SYNC_SECONDS)
        while (key := self._backlog.take()) is not None:
            try:
                self.schedule(key)
            except Exception:  # one pod that nobody foresaw must not keep the others waiting
                log.exception("pod not scheduled, will retry", pod=key)
                self._backlog.retry(key)

    def schedule(self, key: Key) -> None:
        """Find a node for one pod and bind it there, or say why there is none."""
        pod = self._pods.cache.get(key)
        if pod is None or not _wants_node(pod):
            self._backlog.remove(key)
            return
        if self._snapshot.is_promised(meta.uid(pod)):
            return  # it is being bound
        info = PodInfo.of(pod)
        try:
            node = place(info, self._snapshot.nodes(), plugins.FILTERS, plugins.SCORES)
        except Unschedulable as why:
            self._backlog.stuck(key)
            self._refuse(pod, str(why))
            return
        self._snapshot.assume(info, node.name)
        threads.spawn(f"bind/{key}", lambda: self._bind(pod, info, node.name))

    def _bind(self, pod: Object, info: PodInfo, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": info.key.name, "namespace": info.key.namespace, "uid": info.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            self._client.create_at(kinds.POD, info.key, "binding", binding)
        except errors.ApiError as failure:
            # Whoever has the name now, if anybody, is tried in the next round.
            self._snapshot.forget(info.uid)
            self._backlog.retry(info.key)
            if not isinstance(failure, errors.NotFound):
                log.warning("pod not bound, will retry", pod=info.key, node=node, why=failure)
            return
        message = f"Successfully assigned {info.key} to {node}"
        self._recorder.event(kinds.POD, pod, NORMAL, "Scheduled", message)

    def _refuse(self, pod: Object, why: str) -> None:
        """Tell the user, in an event and in the pod's condition."""
        self._recorder.event(kinds.POD, pod, WARNING, "FailedScheduling", why)
        known = find(pod, "PodScheduled")
        if known and known["status"] == "False" and known.get("message") == why:
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
        }
        conditions = updated(
            (pod.get("status") or {}).get("conditions") or (), condition, self._clock.now()
        )
        change = {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": conditions}}
        try:
            self._client.patch(kinds.POD, meta.key(pod), change, subresource="status")
        except (errors.NotFound, errors.Conflict):
            pass  # it is another pod by now, or none
        except errors.ApiError as failure:
            log.warning("condition not written", pod=meta.key(pod), why=failure)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        self._snapshot.node_changed(old, new)
        if new is not None and (old is None or _offer(old) != _offer(new)):
            self._backlog.wake()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        self._snapshot.pod_changed(old, new)
        if new is None or (new.get("status") or {}).get("phase") in FINISHED:
            if old is not None:
                self._backlog.remove(meta.key(old))
            self._backlog.wake()
        elif _wants_node(new):
            if old is None or old["spec"] != new["spec"] or meta.labels(old) != meta.labels(new):
                self._backlog.add(meta.key(new), new["spec"].get("priority") or 0)
        else:
            self._backlog.remove(meta.key(new))


def _wants_node(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", NAME) == NAME
        and not meta.is_deleting(pod)
        and (pod.get("status") or {}).get("phase") not in FINISHED
    )


def _offer(node: Object) -> tuple[object, ...]:
    """What of a node decides which pods it takes."""
    spec = node.get("spec") or {}
    allocatable = (node.get("status") or {}).get("allocatable")
    return (meta.labels(node), spec.get("taints"), spec.get("unschedulable"), allocatable)
