"""The cluster's CA, as a ConfigMap in each namespace, where pods find it."""

from k3py.api import meta, wellknown
from k3py.api.objects import Key, Object
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Controller
from k3py.kinds import CONFIG_MAP, NAMESPACE

_DESCRIPTION = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
        "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
        "guaranteed across distributions of Kubernetes clusters."
    )
}


class RootCaController(Controller):
    kind = NAMESPACE

    def __init__(
        self,
        client: CachedClient,
        informers: Informers,
        recorder: Recorder,
        clock: Clock,
        *,
        root_ca: str,
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._data = {"ca.crt": root_ca}
        maps = informers.of(CONFIG_MAP, fields=f"metadata.name={wellknown.ROOT_CA_CONFIG_MAP}")
        self._maps = maps.cache
        self.attend(maps, self._map_changed)

    def reconcile(self, key: Key) -> None:
        namespace = self.find(key)
        if namespace is None or meta.is_deleting(namespace):
            return
        where = Key(key.name, wellknown.ROOT_CA_CONFIG_MAP)
        found = self._maps.get(where)
        if found is None:
            about = where._asdict() | {"annotations": _DESCRIPTION}
            self.client.create(CONFIG_MAP, {"metadata": about, "data": self._data})
        elif found.get("data") != self._data:
            self.client.update(CONFIG_MAP, found | {"data": self._data})

    def _map_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in filter(None, (old, new)):
            self.queue.add(Key("", obj["metadata"]["namespace"]))
