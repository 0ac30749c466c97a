"""Nodes as they will be with the pods promised to them.

Fed by informers; a pod counts from the moment it is promised to a node (`assume`), not only
once the API shows it bound, so that two pods never get the same last place.
"""

import threading

from k3py.api import meta
from k3py.api.objects import Object
from k3py.scheduler.framework import NodeInfo, PodInfo

FINISHED = ("Succeeded", "Failed")


class Snapshot:
    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._nodes: dict[str, NodeInfo] = {}
        self._places: dict[str, str] = {}  # pod uid → node name
        self._homeless: dict[str, tuple[str, PodInfo]] = {}  # bound to a node not seen yet

    def node_changed(self, old: Object | None, new: Object | None) -> None:
        """An informer's handler for nodes."""
        with self._lock:
            if new is None:
                if old is not None:
                    self._drop(old["metadata"]["name"])
                return
            node = NodeInfo.of(new)
            known = self._nodes.get(node.name)
            for pod in known.pods.values() if known else ():
                node.add(pod)
            self._nodes[node.name] = node
            for uid, (name, pod) in [*self._homeless.items()]:
                if name == node.name:
                    del self._homeless[uid]
                    self._put(pod, name)

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        """An informer's handler for pods."""
        pod = new or old
        if pod is None:
            return
        with self._lock:
            over = new is None or (new.get("status") or {}).get("phase") in FINISHED
            if over:
                self._take(meta.uid(pod))
            elif node := pod["spec"].get("nodeName"):
                self._put(PodInfo.of(pod), node)

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count `pod` on `node` from now on."""
        with self._lock:
            self._put(pod, node)

    def is_promised(self, uid: str) -> bool:
        """Whether the pod counts on a node."""
        with self._lock:
            return uid in self._places or uid in self._homeless

    def forget(self, uid: str) -> None:
        """The promise was not kept."""
        with self._lock:
            self._take(uid)

    def nodes(self) -> list[NodeInfo]:
        """Every node. For the scheduler's own thread, which alone makes promises."""
        with self._lock:
            return [*self._nodes.values()]

    def _put(self, pod: PodInfo, node: str) -> None:
        self._take(pod.uid)
        if node in self._nodes:
            self._nodes[node].add(pod)
            self._places[pod.uid] = node
        else:
            self._homeless[pod.uid] = (node, pod)

    def _take(self, uid: str) -> None:
        self._homeless.pop(uid, None)
        place = self._places.pop(uid, "")
        if place in self._nodes:
            self._nodes[place].remove(uid)

    def _drop(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        for uid, pod in node.pods.items() if node else ():
            self._places.pop(uid, None)
            self._homeless[uid] = (name, pod)
