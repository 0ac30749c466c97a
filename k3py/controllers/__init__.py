"""Every controller the server runs. A new one is a new file and a line here."""

from typing import Any

from k3py.base import threads
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Loop
from k3py.controllers.deployment import DeploymentController
from k3py.controllers.endpoints import EndpointsController
from k3py.controllers.endpointslice import EndpointSliceController
from k3py.controllers.endpointslice_mirroring import EndpointSliceMirroringController
from k3py.controllers.garbage import GarbageCollector
from k3py.controllers.namespace import NamespaceController
from k3py.controllers.node_cidr import NodeCidrController
from k3py.controllers.node_lifecycle import NodeLifecycleController
from k3py.controllers.pod_cleanup import PodCleanup
from k3py.controllers.replicaset import ReplicaSetController
from k3py.controllers.root_ca import RootCaController
from k3py.controllers.serviceaccount import ServiceAccountController
from k3py.controllers.taint_eviction import TaintEvictionController

# The garbage collector is last: what others follow as a whole it does not follow again.
ALL: tuple[type[Loop[Any]], ...] = (
    NodeCidrController,
    ServiceAccountController,
    RootCaController,
    NamespaceController,
    NodeLifecycleController,
    TaintEvictionController,
    DeploymentController,
    ReplicaSetController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    PodCleanup,
    GarbageCollector,
)


def start(
    group: threads.Group,
    client: CachedClient,
    informers: Informers,
    recorder: Recorder,
    clock: Clock,
    *,
    cluster_cidr: str,
    node_mask: int = 24,
    root_ca: str,
) -> None:
    """Start them all. `root_ca` is PEM; nodes get ranges of `node_mask` out of `cluster_cidr`.

    The caller starts the informers. Each controller waits for its own writes only.
    """
    more: dict[type[Loop[Any]], dict[str, object]] = {
        NodeCidrController: {"cluster_cidr": cluster_cidr, "node_mask": node_mask},
        RootCaController: {"root_ca": root_ca},
    }
    for controller in ALL:
        own = CachedClient(client.live, informers, clock=clock)
        loop = controller(own, informers, recorder, clock, **more.get(controller, {}))
        group.start(controller.__name__, loop.run)
