"""What a controller is, and how one runs.

    changes ──► queue of keys ──► worker: wait for own writes ──► reconcile(key)
                    ▲                                                  │
                    └────────────── failed: later, and later ──────────┘

A controller says which kind it is about, which kinds those objects own, and what else
matters to them; `reconcile` makes one object's world as it should be, from whatever it
finds. It must do nothing when everything is well, and it may be called at any time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import ClassVar, Generic, TypeVar

from k3py.api import errors, meta
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects
from k3py.base import threads
from k3py.base.clock import Clock
from k3py.base.log import Log
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informer, Informers
from k3py.client.workqueue import WorkQueue
from k3py.kinds import POD

K = TypeVar("K", bound=Hashable)

SETTLE_SECONDS = 5
BY_CONTROLLER = "controller"
BY_NODE = "node"
log = Log("k3py.controllers")


class NotYet(Exception):
    """What `reconcile` waits for has not come, and nothing will tell: look again, ever later."""


class Loop(ABC, Generic[K]):
    """A queue of keys and the workers that take from it. `delay` in seconds gathers changes.

    `component` is in whose name it tells of events, as Kubernetes' own controller does.
    """

    component: ClassVar[str] = "controllers"
    workers: ClassVar[int] = 1
    delay: ClassVar[float] = 0

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        self.client, self.recorder, self.clock = client, recorder.of(self.component), clock
        self.queue: WorkQueue[K] = WorkQueue(clock=clock)
        self.log = log.bind(controller=type(self).__name__)
        self._informers = informers
        self._followed: list[Informer] = []

    @abstractmethod
    def reconcile(self, key: K) -> None:
        """Make what `key` names as it should be."""

    def follow(self, kind: Kind, keys: Callable[[Object], Iterable[K]]) -> Informer:
        """Reconcile `keys(object)` whenever an object of `kind` changes."""

        def changed(old: Object | None, new: Object | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for key in keys(obj):
                        self.queue.add_after(key, self.delay)

        return self.attend(self._informers.of(kind), changed)

    def attend(
        self, informer: Informer, changed: Callable[[Object | None, Object | None], object]
    ) -> Informer:
        """Call `changed(old, new)` for every change, and begin only once `informer` is synced."""
        informer.subscribe(changed)
        self._followed.append(informer)
        return informer

    def run(self, stop: threads.Stop) -> None:
        for informer in self._followed:
            while not informer.wait_synced(1):
                if stop.is_set():
                    return
        group = threads.Group(type(self).__name__)
        for number in range(self.workers):
            group.start(str(number), self._work)
        stop.wait()
        self.queue.close()
        group.stop()

    def work(self, key: K) -> None:
        """Reconcile a key that was taken, and take it back when that fails."""
        try:
            self.client.settle(SETTLE_SECONDS)
            self.reconcile(key)
        except NotYet:
            self.queue.retry(key)
        except (errors.Conflict, errors.NotFound, errors.AlreadyExists) as passed:
            self.queue.retry(key)  # the world moved on; look again
            self.log.debug("overtaken", key=key, why=passed)
        except errors.ApiError as failure:
            self._failed(key, failure)
        except Exception:
            self.queue.retry(key)
            self.log.exception("failed, will retry", key=key)
        else:
            self.queue.forget(key)
        finally:
            self.queue.done(key)

    def _failed(self, key: K, failure: errors.ApiError) -> None:
        if errors.is_namespace_terminating(failure):
            self.queue.forget(key)
            self.log.debug("its namespace is going", key=key, why=failure)
            return
        seconds = self.queue.retry(key)
        self.log.warning("failed, will retry", key=key, seconds=seconds, why=failure)

    def _work(self, stop: threads.Stop) -> None:
        for key in self.queue:
            self.work(key)
            if stop.is_set():
                return


class Controller(Loop[Key]):
    """A loop about the objects of `kind`, and about those they own."""

    kind: ClassVar[Kind]
    owns: ClassVar[tuple[Kind, ...]] = ()

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self.follow(self.kind, lambda obj: (meta.key(obj),))
        for owned in self.owns:
            self.follow(owned, self._owner)
            informers.of(owned).cache.add_index(BY_CONTROLLER, controllers_of)

    def find(self, key: Key) -> Object | None:
        """The object, as the cache has it."""
        return self._informers.of(self.kind).cache.get(key)

    def owned(self, kind: Kind, owner: Object) -> Objects:
        """The objects that `owner` controls."""
        return self._informers.of(kind).cache.by(BY_CONTROLLER, meta.uid(owner))

    def orphans(self, kind: Kind, namespace: str) -> Objects:
        """The objects that nothing controls."""
        return self._informers.of(kind).cache.by(BY_CONTROLLER, _nobody(namespace))

    def report(self, obj: Object, status: Object) -> Object:
        """Write the status, if it is news; the object as it is then."""
        if status == obj.get("status"):
            return obj
        return self.client.update(self.kind, obj | {"status": status}, subresource="status")

    def _owner(self, obj: Object) -> Iterable[Key]:
        ref = meta.controller(obj)
        if ref and (ref["kind"], ref["apiVersion"]) == (self.kind.kind, self.kind.api_version):
            yield Key(obj["metadata"].get("namespace", ""), ref["name"])
        elif ref is None:
            yield from self.claimants(obj)

    def claimants(self, orphan: Object) -> Iterable[Key]:
        """Who may want to adopt `orphan`."""
        return ()


def controllers_of(obj: Object) -> Iterable[str]:
    """For an index: what controls `obj`, or that nothing does."""
    ref = meta.controller(obj)
    yield ref["uid"] if ref else _nobody(obj["metadata"].get("namespace", ""))


def node_of(pod: Object) -> Iterable[str]:
    """For an index: where `pod` runs."""
    if name := pod["spec"].get("nodeName"):
        yield name


def pods_by_node(informers: Informers) -> Callable[[str], Objects]:
    """A way to ask which pods a node has."""
    cache = informers.of(POD).cache
    cache.add_index(BY_NODE, node_of)
    return lambda name: cache.by(BY_NODE, name)


def _nobody(namespace: str) -> str:
    return f"nobody in {namespace}"
