"""A pod's sandbox: its namespaces, its addresses, and the files all its containers see.

    /run/k3py/pods/<uid>/   net ipc shm   sandbox.json (written last: the sandbox is whole)
    <root>/pods/<uid>/      etc-hosts resolv.conf   volumes/   containers/

A sandbox without sandbox.json was interrupted: it is taken down and made again. After a
reboot /run is empty, and so nothing there can be mistaken for a living sandbox.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from k3py.api.objects import Object
from k3py.base import files
from k3py.base.log import Log
from k3py.node import hostfiles, mounts, namespaces
from k3py.node.network import PodNetwork
from k3py.node.runtime.specs import Place

SHM_BYTES = 64 << 20
_WHOLE = "sandbox.json"

log = Log("k3py.node.sandbox")


@dataclass(frozen=True)
class Sandbox:
    """What is ready for a pod's containers. `addresses` are empty on the host's network."""

    addresses: tuple[str, ...]
    place: Place


@dataclass(frozen=True)
class Folders:
    """Where things of one pod lie: `disk` stays over a reboot, `memory` does not."""

    disk: Path
    memory: Path

    @property
    def termination_logs(self) -> Path:
        return self.disk / "containers"


class Sandboxes:
    """The sandboxes of this node. Each pod's is used by one thread at a time."""

    def __init__(
        self,
        network: PodNetwork,
        *,
        root: Path,
        run: Path,
        dns_address: str = "",
        cluster_domain: str = "cluster.local",
    ) -> None:
        self._network = network
        self._disk, self._memory = root / "pods", run / "pods"
        self._dns, self._domain = dns_address, cluster_domain
        self.pause_folder = root / "pause"

    def folders(self, uid: str) -> Folders:
        return Folders(self._disk / uid, self._memory / uid)

    def look(self, uid: str) -> Sandbox | None:
        """The whole sandbox of the pod, if there is one."""
        try:
            said = orjson.loads((self._memory / uid / _WHOLE).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return Sandbox(tuple(said["addresses"]), self._place(uid, said))

    def make(self, pod: Object) -> Sandbox:
        """Raises OSError, and whatever the network raises."""
        uid = pod["metadata"]["uid"]
        found = self.look(uid)
        if found:
            return found
        self.remove(uid)
        where = self.folders(uid)
        where.disk.mkdir(parents=True, exist_ok=True, mode=0o750)
        where.memory.mkdir(parents=True, mode=0o750)
        spec = pod["spec"]
        kinds = {"net": not spec.get("hostNetwork"), "ipc": not spec.get("hostIPC")}
        namespaces.pin({k: where.memory / k for k, own in kinds.items() if own}, _sysctls(pod))
        if kinds["ipc"]:
            (where.memory / "shm").mkdir()
            mounts.tmpfs(where.memory / "shm", size=SHM_BYTES)
        addresses: tuple[str, ...] = ()
        if kinds["net"]:
            addresses = self._network.attach(uid, where.memory / "net")
        self._write_files(pod, addresses)
        said = {
            "id": secrets.token_hex(8),
            "addresses": addresses,
            "hostname": hostfiles.hostname(pod),
            "net": kinds["net"],
            "ipc": kinds["ipc"],
        }
        files.write(where.memory / _WHOLE, orjson.dumps(said), durable=False)
        return Sandbox(addresses, self._place(uid, said))

    def disconnect(self, uid: str) -> None:
        """Take the sandbox down, and keep the pod's folders."""
        where = self.folders(uid)
        with contextlib.suppress(FileNotFoundError):
            (where.memory / _WHOLE).unlink()
        self._network.detach(uid)
        for name in ("net", "ipc", "shm"):
            mounts.unmount(where.memory / name)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(where.memory / "shm")
        for name in ("net", "ipc"):
            (where.memory / name).unlink(missing_ok=True)

    def finish(self, uid: str) -> None:
        """Disconnect a pod that has ended for good, and take its volumes away."""
        self.disconnect(uid)
        where = self.folders(uid)
        remove_tree(where.memory)
        remove_tree(where.disk / "volumes")

    def remove(self, uid: str) -> None:
        """Take everything of the pod away: sandbox, volumes, files. Nothing there is fine."""
        where = self.folders(uid)
        self.disconnect(uid)
        for folder in (where.memory, where.disk):
            remove_tree(folder)

    def uids(self) -> Iterator[str]:
        """Every pod that left something here."""
        found = set()
        for folder in (self._disk, self._memory):
            with contextlib.suppress(FileNotFoundError):
                found |= set(os.listdir(folder))
        yield from sorted(found)

    def _place(self, uid: str, said: Any) -> Place:
        where = self.folders(uid)
        shared = {
            "/etc/hosts": where.disk / "etc-hosts",
            "/etc/resolv.conf": where.disk / "resolv.conf",
        }
        if said["ipc"]:
            shared["/dev/shm"] = where.memory / "shm"  # noqa: S108  the container's, not ours
        else:
            shared["/dev/shm"] = Path("/dev/shm")  # noqa: S108
        return Place(
            id=said["id"],
            net=where.memory / "net" if said["net"] else None,
            ipc=where.memory / "ipc" if said["ipc"] else None,
            hostname=said["hostname"],
            files=shared,
        )

    def _write_files(self, pod: Object, addresses: tuple[str, ...]) -> None:
        disk = self.folders(pod["metadata"]["uid"]).disk
        machine = hostfiles.machine_hosts() if pod["spec"].get("hostNetwork") else ""
        text = hostfiles.hosts(pod, addresses, self._domain, machine)
        files.write(disk / "etc-hosts", text, durable=False)
        resolver = hostfiles.resolver(pod, hostfiles.machine_resolver(), self._dns, self._domain)
        files.write(disk / "resolv.conf", resolver.text(), durable=False)


def remove_tree(folder: Path) -> None:
    """Remove a folder, and first whatever is mounted in it, so that no content is lost."""
    if not folder.exists():
        return
    for point in mounts.below(folder):
        mounts.unmount(point)
    if mounts.below(folder):
        raise OSError(f"{folder}: something is still mounted there")
    shutil.rmtree(folder)


def _sysctls(pod: Object) -> dict[str, str]:
    settings = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {s["name"]: s["value"] for s in settings}
