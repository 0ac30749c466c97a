"""The node agent: its loops, put together.

    API ──► desired ──► workers (one thread a pod) ──► actions ──► runtime, network, volumes
                            ▲          │
                        observer    reporter ──► API        registration ──► API

Nothing that matters is only in memory: an agent that was killed looks at the engine, at
/run and at the API, and goes on. Containers do not notice.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from k3py.api.objects import Object, Objects
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.kinds import POD, SERVICE
from k3py.node import cleanup, registration
from k3py.node.actions import Actions, Machine
from k3py.node.cgroups import Cgroups
from k3py.node.desired import Desired
from k3py.node.images import Images
from k3py.node.network import PodNetwork
from k3py.node.observer import Observer
from k3py.node.probing import Hooks, Prober
from k3py.node.registration import Health, Registration
from k3py.node.reporter import Reporter
from k3py.node.runtime.runtime import Image, Runtime, RuntimeFailed
from k3py.node.sandbox import Sandboxes
from k3py.node.sources import ApiSources
from k3py.node.volumes.mounting import Volumes
from k3py.node.workers import Tools, Worker, Workers

# How long until a changed config map, secret or token is seen in a running pod, at most.
REFRESH_SECONDS = 60.0
SYNC_PATIENCE_SECONDS = 5.0
LOGS = Path("/var/log/pods")

log = Log("k3py.node")


class Runnable(Protocol):
    """A part of the agent with a loop of its own, as the server on port 10250 is."""

    def run(self, stop: threads.Stop) -> None: ...


class NodeAgent:
    """`root` stays over a reboot, `run` does not. `parts` run with the agent.
    `network_problem` says why the node's network is not ready, "" when it is.

    `version` is what the Node calls its kubelet; `taints` are those it registers with.
    """

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        recorder: Recorder,
        node_name: str,
        addresses: tuple[str, ...],
        runtime: Runtime,
        network: PodNetwork,
        prober: Prober,
        hooks: Hooks,
        root: Path,
        run: Path,
        version: str,
        labels: Mapping[str, str] | None = None,
        taints: tuple[Object, ...] = (),
        dns_ip: str = "",
        cluster_domain: str = "cluster.local",
        logs: Path = LOGS,
        cgroup_root: str = "/k3py",
        parts: tuple[Runnable, ...] = (),
        network_problem: Callable[[], str] = lambda: "",
        clock: Clock = SYSTEM,
    ) -> None:
        self._runtime, self._network, self._clock = runtime, network, clock
        self._network_problem = network_problem
        self._root, self._logs, self._parts = root, logs, parts
        self._groups = Cgroups(cgroup_root)
        memory = registration.memory_bytes(self._groups.memory_limit())
        self._machine = Machine(node_name, addresses, os.cpu_count() or 1, memory, logs)
        self._facts = registration.Facts(
            node_name,
            addresses,
            version,
            "podman://unknown",
            self._machine.cpus,
            memory,
            registration.disk_bytes(root),
            dict(labels or {}),
            taints,
        )
        self._client = client
        self._pods = informers.of(POD, fields=f"spec.nodeName={node_name}")
        self._services = informers.of(SERVICE)
        self.images = Images(runtime, clock=clock)
        self.sandboxes = Sandboxes(
            network, root=root, run=run, dns_address=dns_ip, cluster_domain=cluster_domain
        )
        self.observer = Observer(runtime, self._groups, run / "oom", self._poke, clock=clock)
        self._reporter = Reporter(client, clock=clock)
        sources = ApiSources(client, clock=clock)
        self._volumes = Volumes(sources, clock=clock)
        self._actions = Actions(
            runtime,
            self.images,
            self.sandboxes,
            self._volumes,
            self._groups,
            self.observer,
            sources,
            recorder,
            self._machine,
            services=self._all_services,
            clock=clock,
        )
        tools = Tools(
            self._actions, self.observer, self.sandboxes, self._reporter, prober, hooks, clock
        )
        self.workers = Workers(tools, ended=self._on_ended)
        self._desired = Desired(
            self._pods, root / "desired", wanted=self.workers.offer, unwanted=self.workers.drop
        )
        self._problem = "container runtime is down: it has not answered yet"

    def run(self, stop: threads.Stop) -> None:
        """Be this node until `stop`; running containers are left as they are."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        group = threads.Group("node")
        group.start("observer", self.observer.run)
        group.start("reporter", self._reporter.run)
        group.start("registration", self._register)
        group.start("pods", self._follow)
        group.start("refresh", self._refresh)
        for part in self._parts:
            group.start(type(part).__name__.lower(), part.run)

        def end() -> None:
            stop.wait()
            group.stopping.set()

        threads.spawn("node/stop", end)
        try:
            group.wait()
        finally:
            self.workers.stop()

    def pod(self, namespace: str, name: str) -> Object | None:
        """The pod of this node by that name, as the API knows it."""
        for pod in self._pods.cache.list(namespace):
            if pod["metadata"]["name"] == name:
                return pod
        return None

    # --- loops

    def _register(self, stop: threads.Stop) -> None:
        """The engine must have answered once, for the Node says which it is."""
        while not stop.is_set():
            try:
                runtime = str(self._runtime.version())
                break
            except RuntimeFailed as failed:
                log.error("container engine does not work, will retry", why=failed)
                self._clock.wait(stop, 2)
        else:
            return
        self._problem = ""
        facts = replace(self._facts, runtime=runtime)
        Registration(
            self._client, facts, health=self._health, images=self._listed, clock=self._clock
        ).run(stop)

    def _follow(self, stop: threads.Stop) -> None:
        """First what runs, then what should: else what runs would be started twice."""
        self._groups.prepare()
        while not stop.is_set() and not self.observer.listed.wait(0.5):
            continue
        if stop.is_set():
            return
        # With a server that answers, its word comes first; without, the disk's.
        self._pods.wait_synced(SYNC_PATIENCE_SECONDS)
        self._desired.begin()
        while not stop.is_set() and not self._pods.wait_synced(1):
            continue
        if stop.is_set():
            return
        self._desired.settle(self._orphans())
        known = self._known()
        cleanup.sweep(known, self.sandboxes, self._groups, self._logs)
        self._network.retain(known)
        stop.wait()

    def _refresh(self, stop: threads.Stop) -> None:
        """Bring live volumes up to date, a few pods at a time rather than all at once."""
        while not self._clock.wait(stop, REFRESH_SECONDS):
            for worker in self.workers.all():
                if stop.is_set():
                    return
                self._refresh_one(worker)
            # A cgroup whose last process was slow to go is still there.
            cleanup.sweep_cgroups(self._known(), self._groups)

    def _refresh_one(self, worker: Worker) -> None:
        found = worker.sandbox()
        if found and self._volumes.is_live(found[0]):
            try:
                self._actions.refresh_volumes(*found)
            except Exception as failed:  # one pod's trouble must not keep the others waiting
                log.warning("volumes not refreshed", uid=worker.uid, why=repr(failed))

    # --- answers

    def _health(self) -> Health:
        found = registration.pressures(self._root)
        return replace(found, runtime=self._problem, network=self._network_problem())

    def _listed(self) -> list[Image]:
        try:
            return self.images.all()
        except RuntimeFailed:
            return []

    def _all_services(self) -> Objects:
        return self._services.cache.list()

    def _known(self) -> set[str]:
        return self._desired.uids() | {w.uid for w in self.workers.all()}

    def _orphans(self) -> Iterator[Object]:
        for uid in self.observer.uids():
            yield cleanup.orphan(uid, self.observer.containers(uid))

    def _poke(self, uid: str) -> None:
        self.workers.poke(uid)

    def _on_ended(self, uid: str) -> None:
        self._desired.forget(uid)
