"""Service accounts: each namespace has one called default, which pods use that name none."""

from k3py.api import meta
from k3py.api.objects import Key
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers.controller import Controller
from k3py.kinds import NAMESPACE, SERVICE_ACCOUNT

DEFAULT = "default"


class ServiceAccountController(Controller):
    kind = NAMESPACE

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._accounts = informers.of(SERVICE_ACCOUNT).cache
        self.follow(SERVICE_ACCOUNT, lambda obj: (Key("", obj["metadata"]["namespace"]),))

    def reconcile(self, key: Key) -> None:
        namespace = self.find(key)
        if namespace is None or meta.is_deleting(namespace):
            return
        account = Key(key.name, DEFAULT)
        if self._accounts.get(account) is None:
            self.client.create(SERVICE_ACCOUNT, {"metadata": account._asdict()})
