"""Nodes: notice those that fell silent, and keep pods away from what is not well.

    heartbeats stop ──► Ready Unknown ──► tainted unreachable ──► pods evicted (taint_eviction)
                                     └──► its pods not ready  ──► no traffic to them

A heartbeat is any change of a node's Lease or of its status; when it came is taken from
our own clock, so that clocks that differ do no harm, and a restart of this controller
gives every node its whole grace again.
"""

from k3py.api import conditions, meta, times, wellknown
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.client.informer import Informers
from k3py.controllers import node_taints, parallel
from k3py.controllers.controller import Controller, pods_by_node
from k3py.kinds import LEASE, NODE, POD
from k3py.kinds.core import node as nodes
from k3py.kinds.core import pod as pods

GRACE_SECONDS = 50  # Kubernetes has waited so long since 1.32; a lease is for 40
_TOLD_BY_KUBELET = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class NodeLifecycleController(Controller):
    kind = NODE
    component = "node-controller"

    def __init__(
        self,
        client: CachedClient,
        informers: Informers,
        recorder: Recorder,
        clock: Clock,
        *,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._heard: dict[str, float] = {}  # when each node was last heard of
        self._was_ready: dict[str, bool] = {}
        self._grace = grace
        super().__init__(client, informers, recorder, clock)
        self._nodes = informers.of(NODE).cache
        self._pods_on = pods_by_node(informers)
        self.attend(informers.of(POD), lambda old, new: None)
        self.attend(informers.of(NODE), self._node_changed)
        self.attend(informers.of(LEASE), self._lease_changed)

    def reconcile(self, key: Key) -> None:
        node = self.find(key)
        if node is None:
            self._was_ready.pop(key.name, None)
            return
        now = self.clock.monotonic()
        silent = now - self._heard.setdefault(key.name, now)
        if silent < self._grace:
            self.queue.add_after(key, self._grace - silent)
        else:
            node = self.report(node, _silenced(node, times.stamp(self.clock.now())))
        self._note_readiness(node)
        self._taint(node)

    def _note_readiness(self, node: Object) -> None:
        name, is_ready = node["metadata"]["name"], nodes.is_ready(node)
        was_ready = self._was_ready.get(name)
        if was_ready is is_ready:
            return
        self._was_ready[name] = is_ready
        if was_ready is None:
            text = f"Node {name} event: Registered Node {name} in Controller"
            self.recorder.event(NODE, node, NORMAL, "RegisteredNode", text)
        elif not is_ready:
            text = f"Node {name} status is now: NodeNotReady"
            self.recorder.event(NODE, node, NORMAL, "NodeNotReady", text)
            self.log.info("node is not ready", node=name)
        if not is_ready and conditions.find(node, "Ready"):
            self._mark_pods(name)
        for other in self._nodes.list():
            self.queue.add(meta.key(other))  # whether pods may be evicted depends on all

    def _mark_pods(self, name: str) -> None:
        """Its pods are not ready, so that Services stop sending to them."""
        ready = [pod for pod in self._pods_on(name) if pods.is_ready(pod)]
        refusals = parallel.each(ready, self._mark_pod)
        if refusals:
            self._was_ready[name] = True  # so that all of this is done again
            raise refusals[0]

    def _mark_pod(self, pod: Object) -> None:
        condition = conditions.find(pod, "Ready")
        assert condition is not None
        found = conditions.updated(
            pod["status"]["conditions"], condition | {"status": "False"}, self.clock.now()
        )
        status = pod["status"] | {"conditions": found}
        self.client.update(POD, pod | {"status": status}, subresource="status")
        self.recorder.event(POD, pod, WARNING, "NodeNotReady", "Node is not ready")

    def _taint(self, node: Object) -> None:
        evict = not node_taints.is_disrupted(self._nodes.list())
        taints = node_taints.wanted(node, evict=evict, now=self.clock.now())
        if taints != nodes.taints(node):
            version = {"resourceVersion": node["metadata"]["resourceVersion"]}
            change = {"metadata": version, "spec": {"taints": taints or None}}
            self.client.patch(NODE, meta.key(node), change)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            name = old["metadata"]["name"]
            self._heard.pop(name, None)
            text = f"Node {name} event: Removing Node {name} from Controller"
            self.recorder.event(NODE, old, NORMAL, "RemovingNode", text)
        elif old is None or _pulse(old) != _pulse(new):
            self._heard[new["metadata"]["name"]] = self.clock.monotonic()

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or new["metadata"]["namespace"] != wellknown.NODE_LEASES:
            return
        if old is None or old["spec"] != new["spec"]:
            self._heard[new["metadata"]["name"]] = self.clock.monotonic()


def _silenced(node: Object, now: str) -> Object:
    """The status of a node that says nothing any more: what it said is not known to hold."""
    status = node.get("status") or {}
    found: Objects = []
    known = {c["type"]: c for c in status.get("conditions") or ()}
    for kind in _TOLD_BY_KUBELET:
        old = known.pop(kind, None)
        if old is None:
            found.append(_unknown(kind, now, "NodeStatusNeverUpdated", "never posted"))
        elif old["status"] == "Unknown":
            found.append(old)
        else:
            found.append(old | _unknown(kind, now, "NodeStatusUnknown", "stopped posting"))
    kept = {c["type"]: c for c in found} | known
    order = [c["type"] for c in status.get("conditions") or ()]
    order += [kind for kind in _TOLD_BY_KUBELET if kind not in order]
    return status | {"conditions": [kept[kind] for kind in order]}


def _unknown(kind: str, now: str, reason: str, what: str) -> Object:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": reason,
        "message": f"Kubelet {what} node status.",
        "lastTransitionTime": now,
    }


def _pulse(node: Object) -> str:
    """What changes whenever the node itself writes its status; not what we write."""
    found = (node.get("status") or {}).get("conditions") or ()
    return max((c.get("lastHeartbeatTime") or "" for c in found), default="")
