"""The pods this node should run: from the API, and from disk while the API is away.

    <root>/desired/<uid>.json   each pod as it was last known

After a reboot without a server the copies start the pods again. As soon as the API has been
heard, only its word counts.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from k3py.api import meta
from k3py.api.objects import Object
from k3py.base import files
from k3py.base.log import Log
from k3py.client.informer import Informer

log = Log("k3py.node.desired")


class Desired:
    """`wanted(pod)` is called with each pod to run, `unwanted(pod)` with each to end."""

    def __init__(
        self,
        informer: Informer,
        folder: Path,
        *,
        wanted: Callable[[Object], None],
        unwanted: Callable[[Object], None],
    ) -> None:
        self._informer, self._folder = informer, folder
        self._wanted, self._unwanted = wanted, unwanted
        self._kept: dict[str, tuple[object, ...]] = {}

    def begin(self) -> None:
        """Offer what is known from disk, then follow the API."""
        if not self._informer.is_synced:
            for pod in self.remembered():
                self._wanted(pod)
        self._informer.subscribe(self._on_change)

    def settle(self, known: Iterator[Object]) -> None:
        """End every pod of `known` that the API, now that it has been heard, does not know."""
        there = {meta.uid(pod) for pod in self._informer.cache.list()}
        for pod in (*self.remembered(), *known):
            if meta.uid(pod) not in there:
                self._unwanted(pod)

    def uids(self) -> set[str]:
        return {meta.uid(pod) for pod in self._informer.cache.list()}

    def forget(self, uid: str) -> None:
        """Nothing is left of this pod."""
        self._kept.pop(uid, None)
        (self._folder / f"{uid}.json").unlink(missing_ok=True)

    def remembered(self) -> Iterator[Object]:
        """The pods on disk; what cannot be read is left out and removed."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                pod = orjson.loads(path.read_bytes())
                assert pod["metadata"]["uid"] == path.stem
                assert pod["spec"]["containers"]
            except (OSError, ValueError, KeyError, TypeError, AssertionError):
                log.warning("remembered pod is not readable", file=path.name)
                with contextlib.suppress(OSError):
                    path.unlink()
            else:
                yield pod

    def _on_change(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            if old is not None and meta.uid(old) != meta.uid(new):
                self._unwanted(old)
            self._keep(new)
            self._wanted(new)
        elif old is not None:
            self._unwanted(old)

    def _keep(self, pod: Object) -> None:
        """Write the copy where what matters for starting the pod has changed.

        The write does not wait for the disk: losing it only means to wait for the server.
        """
        metadata, uid = pod["metadata"], meta.uid(pod)
        phase = (pod.get("status") or {}).get("phase")
        digest = (
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            phase in ("Succeeded", "Failed"),
            _started(pod),
        )
        if self._kept.get(uid) == digest:
            return
        try:
            path = self._folder / f"{uid}.json"
            files.write(path, orjson.dumps(pod), mode=0o600, durable=False)
        except OSError as failed:
            log.warning("pod not remembered on disk", pod=meta.key(pod), why=failed)
        else:
            self._kept[uid] = digest


def _started(pod: Object) -> tuple[str, ...]:
    """Which containers ran last: after a reboot their restarts go on from there."""
    status = pod.get("status") or {}
    return tuple(s.get("containerID", "") for s in status.get("containerStatuses") or ())
