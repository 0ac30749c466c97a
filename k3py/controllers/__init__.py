"""Every controller the server runs. A new one is a new file and a line here."""

from k3py.base import threads
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.deployment import DeploymentController
from k3py.controllers.endpoints import EndpointsController
from k3py.controllers.endpointslice import EndpointSliceController
from k3py.controllers.namespace import NamespaceController
from k3py.controllers.replicaset import ReplicaSetController
from k3py.controllers.root_ca import RootCaController
from k3py.controllers.serviceaccount import ServiceAccountController

ALL = (
    DeploymentController,
    EndpointsController,
    EndpointSliceController,
    NamespaceController,
    ReplicaSetController,
    ServiceAccountController,
)


def start(
    group: threads.Group,
    client: CachedClient,
    informers: Informers,
    recorder: Recorder,
    clock: Clock,
    *,
    cluster_cidr: str,
    root_ca: str,
) -> None:
    for controller in ALL:
        group.start(controller.__name__, controller(client, informers, recorder, clock).run)
    ca = RootCaController(client, informers, recorder, clock, root_ca=root_ca)
    group.start("RootCaController", ca.run)
    from k3py import kinds
    from k3py.client.client import Patch
    from k3py.api import meta

    def cidr(old, new):
        if new and not new["spec"].get("podCIDR"):
            n = 1
            threads.spawn("cidr", lambda: client.patch(kinds.NODE, meta.key(new), {"spec": {"podCIDR": f"10.42.{new['metadata']['name'][-1]}.0/24", "podCIDRs": [f"10.42.{new['metadata']['name'][-1]}.0/24"]}}))
    informers.of(kinds.NODE).subscribe(cidr)
