"""The volumes of a pod, from its spec to the mounts of its containers."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from k3py.api import errors
from k3py.api.objects import Object
from k3py.base.clock import SYSTEM, Clock
from k3py.node import mounts
from k3py.node.environment import Facts
from k3py.node.runtime.specs import Mount, Refused, expand
from k3py.node.sandbox import Folders
from k3py.node.volumes import TYPES
from k3py.node.volumes.volume import Request, Sources, Volume, VolumeProblem

_UNWRITABLE = ("configMap", "downwardAPI", "projected", "secret")


class Volumes:
    """`types` by the key that names them in a pod's spec."""

    def __init__(
        self,
        sources: Sources,
        *,
        types: Mapping[str, Volume] = TYPES,
        clock: Clock = SYSTEM,
    ) -> None:
        self._sources, self._types, self._clock = sources, types, clock

    def prepare(self, pod: Object, where: Folders, facts: Facts) -> dict[str, Path]:
        """Make every volume ready, or bring it up to date; where each is.

        Raises VolumeProblem with Kubernetes' message.
        """
        return {
            volume["name"]: self._prepare(pod, volume, where, facts)
            for volume in pod["spec"].get("volumes") or ()
        }

    def refresh(self, pod: Object, where: Folders, facts: Facts) -> None:
        """Bring up to date what may have changed. Raises VolumeProblem."""
        for volume in pod["spec"].get("volumes") or ():
            kind = self._kind(volume)
            if self._types[kind].is_live(volume.get(kind) or {}):
                self._prepare(pod, volume, where, facts)

    def is_live(self, pod: Object) -> bool:
        """Whether `refresh` has anything to do."""
        for volume in pod["spec"].get("volumes") or ():
            kind = next((k for k in self._types if k in volume), None)
            if kind and self._types[kind].is_live(volume[kind]):
                return True
        return False

    def _prepare(self, pod: Object, volume: Object, where: Folders, facts: Facts) -> Path:
        kind = self._kind(volume)
        request = Request(
            pod,
            volume["name"],
            volume.get(kind) or {},
            where.disk / "volumes" / volume["name"],
            where.memory / "volumes" / volume["name"],
            self._sources,
            facts,
            self._clock.now(),
        )
        try:
            return self._types[kind].prepare(request)
        except (VolumeProblem, errors.ApiError, OSError) as failed:
            name = volume["name"]
            why = f'MountVolume.SetUp failed for volume "{name}" : {failed}'
            raise VolumeProblem(why) from failed

    def _kind(self, volume: Object) -> str:
        """Its type; a volume without one is an emptyDir."""
        for kind in volume:
            if kind in self._types:
                return kind
        others = [k for k in volume if k != "name"]
        if others:
            raise VolumeProblem(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
                f"volumes of type {others[0]} are not supported"
            )
        return "emptyDir"


def unwritable(pod: Object) -> frozenset[str]:
    """The volumes that no container may write, whatever it asks for: the node does."""
    return frozenset(
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if any(kind in volume for kind in _UNWRITABLE)
    )


def container_mounts(
    container: Object,
    paths: Mapping[str, Path],
    where: Folders,
    environment: Mapping[str, str],
    *,
    read_only: Collection[str] = (),
) -> tuple[Mount, ...]:
    """The volumeMounts of a container; the volumes of `read_only` are so in any case.

    Raises Refused, VolumeProblem, OSError.
    """
    found = []
    for index, wanted in enumerate(container.get("volumeMounts") or ()):
        source = paths.get(wanted["name"])
        if source is None:
            raise Refused(f'volume "{wanted["name"]}" of container {container["name"]} not found')
        inside = wanted.get("subPath") or ""
        if wanted.get("subPathExpr"):
            inside = expand(wanted["subPathExpr"], environment)
        if inside:
            pinned = where.memory / "subpaths" / container["name"] / str(index)
            source = _sub_path(source, inside, pinned)
        found.append(
            Mount(
                source,
                wanted["mountPath"],
                bool(wanted.get("readOnly")) or wanted["name"] in read_only,
                wanted.get("mountPropagation") or "",
            )
        )
    return tuple(found)


def _sub_path(volume: Path, inside: str, pinned: Path) -> Path:
    """A place within a volume, bound where nobody can exchange it for a link to elsewhere.

    The pod writes the volume, so what the path leads to may change between looking and
    mounting: what is mounted is the very file that was looked at.
    """
    if inside.startswith("/") or ".." in Path(inside).parts:
        raise Refused(f"subPath {inside!r} must stay inside the volume")
    top = volume.resolve()
    wanted = top / inside
    if not os.path.lexists(wanted):
        wanted.mkdir(parents=True, mode=0o750)
        wanted.chmod(0o777)
    opened = os.open(wanted.resolve(), os.O_PATH | os.O_NOFOLLOW)
    try:
        real = Path(os.readlink(f"/proc/self/fd/{opened}"))
        if real != top and top not in real.parents:
            raise Refused(f"subPath {inside!r} leads out of the volume")
        _make_like(pinned, real)
        mounts.bind(f"/proc/self/fd/{opened}", pinned)
    finally:
        os.close(opened)
    return pinned


def _make_like(pinned: Path, real: Path) -> None:
    """An empty folder or file, whichever `real` is, with nothing mounted on it."""
    mounts.unmount(pinned)
    pinned.parent.mkdir(parents=True, exist_ok=True)
    if pinned.is_dir():
        pinned.rmdir()
    else:
        pinned.unlink(missing_ok=True)
    if real.is_dir():
        pinned.mkdir()
    else:
        pinned.touch()
