"""What pods that are gone left behind: containers, sandboxes, cgroups, log folders.

A pod's own worker takes all of it away. This is for what an agent that was killed, or a
full disk, left over.
"""

import contextlib
import shutil
from pathlib import Path

from k3py.api.objects import Object
from k3py.base.log import Log
from k3py.node.cgroups import Cgroups
from k3py.node.runtime.runtime import POD_NAME, POD_NAMESPACE, Container
from k3py.node.sandbox import Sandboxes

log = Log("k3py.node.cleanup")


def orphan(uid: str, containers: tuple[Container, ...]) -> Object:
    """A pod of which only its remains are known, as far as it takes to end it."""
    labels = containers[0].labels if containers else {}
    return {
        "metadata": {
            "uid": uid,
            "name": labels.get(POD_NAME, uid),
            "namespace": labels.get(POD_NAMESPACE, ""),
        },
        "spec": {"containers": [], "terminationGracePeriodSeconds": 1},
        "status": {},
    }


def sweep(known: set[str], sandboxes: Sandboxes, groups: Cgroups, logs: Path) -> None:
    """Remove what belongs to no pod of `known`."""
    for uid in list(sandboxes.uids()):
        if uid not in known:
            log.info("orphaned sandbox removed", uid=uid)
            with contextlib.suppress(OSError):
                sandboxes.remove(uid)
    sweep_cgroups(known, groups)
    for folder in _log_folders(logs):
        if folder.name.rpartition("_")[2] not in known:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_cgroups(known: set[str], groups: Cgroups) -> None:
    """Remove the cgroups of pods that are not in `known`."""
    for uid, path in groups.pods():
        if uid not in known:
            groups.remove(path)


def _log_folders(logs: Path) -> list[Path]:
    """Namespace_name_uid: none of the three contains an underscore."""
    with contextlib.suppress(OSError):
        return [f for f in logs.iterdir() if f.is_dir() and f.name.count("_") == 2]
    return []
