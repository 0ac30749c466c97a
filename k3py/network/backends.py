"""Services and what answers for them, as the API says: the input of both proxy and DNS."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from k3py import kinds
from k3py.api import meta, wellknown
from k3py.api.objects import Key, Object, Objects
from k3py.client.informer import Informers

_INDEX = "network/service"


class Backend(NamedTuple):
    """A Service with the EndpointSlices that belong to it."""

    service: Object
    slices: Objects


class Backends:
    """Follows Services and EndpointSlices."""

    def __init__(self, informers: Informers) -> None:
        self._services = informers.of(kinds.SERVICE)
        self._slices = informers.of(kinds.ENDPOINT_SLICE)
        self._slices.cache.add_index(_INDEX, _service_of)

    def subscribe(self, changed: Callable[[Key], None]) -> None:
        """`changed(key)` is called, from another thread, for every Service that may differ."""

        def service_changed(old: Object | None, new: Object | None) -> None:
            changed(meta.key(new or old or {}))

        def slice_changed(old: Object | None, new: Object | None) -> None:
            names = {name for obj in (old, new) if obj for name in _service_of(obj)}
            for name in names:
                changed(Key(*name.split("/", 1)))

        self._services.subscribe(service_changed)
        self._slices.subscribe(slice_changed)

    def wait_synced(self, seconds: float) -> bool:
        return self._services.wait_synced(seconds) and self._slices.wait_synced(seconds)

    def get(self, key: Key) -> Backend | None:
        """None when the Service does not exist."""
        service = self._services.cache.get(key)
        if service is None:
            return None
        return Backend(service, self._slices.cache.by(_INDEX, str(key)))


def _service_of(slice_: Object) -> Iterable[str]:
    name = meta.labels(slice_).get(wellknown.SERVICE_NAME)
    return (f"{slice_['metadata']['namespace']}/{name}",) if name else ()
