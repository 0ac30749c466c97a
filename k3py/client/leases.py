"""Leader election: of several that could do a job, the holder of a Lease does it."""

from collections.abc import Callable

from k3py.api import errors, meta, times
from k3py.api.objects import Key, Object
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.kinds import LEASE

log = Log("k3py.client.leases")


class Election:
    """A candidate called `identity` for the Lease `key`.

    A lease not renewed for `duration` seconds may be taken. The holder renews it every
    `interval` seconds, and gives up its work when it could not for two thirds of `duration`:
    before anyone else may begin.
    """

    def __init__(
        self,
        client: Client,
        key: Key,
        identity: str,
        *,
        duration: int = 15,
        interval: float = 4,
        clock: Clock = SYSTEM,
    ) -> None:
        self._client, self._key, self._identity, self._clock = client, key, identity, clock
        self._duration, self._interval = duration, interval
        self._seen: tuple[str, float] = ("", 0.0)

    def run(self, stop: threads.Stop, lead: Callable[[threads.Stop], object]) -> None:
        """Whenever elected, do `lead` until the lease is lost; then stand again."""
        while not stop.is_set():
            if self.hold():
                log.info("lease acquired", lease=self._key)
                self._term(stop, lead)
            self._clock.wait(stop, self._interval)

    def hold(self) -> bool:
        """Take or renew the lease, where that is allowed; whether it is ours now."""
        try:
            lease = self._client.get(LEASE, self._key)
        except errors.NotFound:
            return self._tried(lambda: self._client.create(LEASE, self._held(None)))
        except errors.ApiError:
            return False
        if not self._may_take(lease):
            return False
        return self._tried(lambda: self._client.update(LEASE, self._held(lease)))

    def _term(self, stop: threads.Stop, lead: Callable[[threads.Stop], object]) -> None:
        work = threads.Group("leader")
        work.start("work", lead)
        renewed = self._clock.monotonic()
        while not stop.is_set() and not work.stopping.is_set():
            self._clock.wait(stop, self._interval)
            now = self._clock.monotonic()
            if self.hold():
                renewed = now
            elif now - renewed > self._duration * 2 / 3:
                log.warning("lease lost", lease=self._key)
                break
        work.stop()
        if work.failure:
            raise work.failure

    def _may_take(self, lease: Object) -> bool:
        """Ours, nobody's, or not renewed for as long as it says; by our own clock, so that
        clocks that differ do no harm."""
        spec = lease["spec"]
        if spec.get("holderIdentity", "") in ("", self._identity):
            return True
        version, since = self._seen
        now = self._clock.monotonic()
        if version != lease["metadata"]["resourceVersion"]:
            self._seen = lease["metadata"]["resourceVersion"], now
            return False
        patience: int = spec.get("leaseDurationSeconds", self._duration)
        return now - since > patience

    def _held(self, lease: Object | None) -> Object:
        now = times.micro_stamp(self._clock.now())
        spec = lease["spec"] if lease else {}
        ours = spec.get("holderIdentity") == self._identity
        changes = 0 if lease is None else spec.get("leaseTransitions", 0) + (not ours)
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": lease["metadata"] if lease else self._key._asdict(),
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._duration,
                "acquireTime": spec["acquireTime"] if ours else now,
                "renewTime": now,
                "leaseTransitions": changes,
            },
        }

    def _tried(self, write: Callable[[], Object]) -> bool:
        try:
            return meta.key(write()) == self._key
        except errors.ApiError:
            return False
