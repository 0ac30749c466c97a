"""A piece of this machine's cgroup tree for each node, so that inside it looks like a whole one.

A node's first process joins its cgroup and then takes a cgroup namespace: what is
/k3py-lab/NAME/pi1 outside is / inside. Version 1 (each controller a tree) and version 2
(one tree) are both served; where both are mounted, version 1 has the controllers.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k3py.base import clock

TOP = "k3py-lab"
INIT = "init"  # version 2 allows processes only in leaves: the node's own live in this one
PATIENCE = 10.0  # seconds until what was killed must be gone


@dataclass(frozen=True)
class Tree:
    """One mounted hierarchy. `options`: what mounts the same one again; "" for version 2."""

    path: Path
    options: str

    @property
    def unified(self) -> bool:
        return not self.options


def trees(mountinfo: str) -> tuple[Tree, ...]:
    """The hierarchies with controllers, from the text of /proc/self/mountinfo."""
    first: dict[str, Tree] = {}
    second: list[Tree] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        path = Path(before.split(" ")[4])
        if kind == "cgroup":
            first.setdefault(path.name, Tree(path, _mount_options(options)))
        elif kind == "cgroup2":
            second.append(Tree(path, ""))
    return tuple(first.values()) or tuple(second[:1])


def _mount_options(options: str) -> str:
    words = [w for w in options.split(",") if w not in ("rw", "ro", "xattr", "clone_children")]
    named = [w for w in words if w.startswith("name=")]
    return f"none,{named[0]}" if named else ",".join(w for w in words if "=" not in w)


def mounted() -> tuple[Tree, ...]:
    """This machine's hierarchies."""
    return trees(Path("/proc/self/mountinfo").read_text())


@dataclass(frozen=True)
class Cgroup:
    """The cgroup of the same name in every hierarchy: "NAME" of a lab, "NAME/pi1" of a node."""

    name: str
    trees: tuple[Tree, ...]

    def folders(self) -> list[Path]:
        return [tree.path / TOP / self.name for tree in self.trees]

    def doors(self) -> list[Path]:
        """The folders that a process joins to be in the node."""
        return [
            folder / INIT if tree.unified and (folder / INIT).is_dir() else folder
            for tree, folder in zip(self.trees, self.folders(), strict=True)
        ]

    def make(self) -> None:
        for tree, folder in zip(self.trees, self.folders(), strict=True):
            for level in _levels(tree.path, folder):
                if tree.unified:
                    _enable_controllers(level.parent)
                level.mkdir(exist_ok=True)
                if not tree.unified and (level / "cpuset.cpus").exists():
                    for file in ("cpuset.cpus", "cpuset.mems"):
                        (level / file).write_text((level.parent / file).read_text())

    def settle(self) -> None:
        """Version 2: make room for the controllers of pods beside the node's own processes."""
        for tree, folder in zip(self.trees, self.folders(), strict=True):
            if tree.unified:
                (folder / INIT).mkdir(exist_ok=True)
                _move(folder, folder / INIT)
                _enable_controllers(folder)

    def join(self) -> None:
        """Move this process into the cgroup."""
        for folder in self.doors():
            (folder / "cgroup.procs").write_text("0")

    def holds(self, pid: int) -> bool:
        """Whether process `pid` lives in here."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return any(f"/{TOP}/{self.name}/" in f"{line}/" for line in lines)

    def is_empty(self) -> bool:
        """Whether no process lives here or below."""
        return not self._pids()

    def _pids(self) -> set[int]:
        return {pid for folder in self.folders() for pid in _pids_below(folder)}

    def remove(self) -> None:
        """Kill whoever lives here and remove the cgroup with all below it."""
        for _ in _until_gone():
            pids = self._pids()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            left = [folder for folder in self.folders() if not _remove_tree(folder)]
            if not pids and not left:
                break
        for tree in self.trees:
            with contextlib.suppress(OSError):  # another lab, another node
                for parent in reversed(_levels(tree.path, tree.path / TOP / self.name)[:-1]):
                    parent.rmdir()


def _levels(root: Path, folder: Path) -> list[Path]:
    """`folder` and what lies between it and `root`, outermost first."""
    steps = folder.relative_to(root).parts
    return [root.joinpath(*steps[: i + 1]) for i in range(len(steps))]


def _enable_controllers(folder: Path) -> None:
    for controller in (folder / "cgroup.controllers").read_text().split():
        # Real-time processes elsewhere can forbid cpu; a node without it still runs.
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _move(source: Path, target: Path) -> None:
    """Move every process; those it forks meanwhile, too."""
    for _ in _until_gone():
        pids = _pids(source)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (target / "cgroup.procs").write_text(str(pid))
        if not pids:
            break


def _pids(folder: Path) -> list[int]:
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except (FileNotFoundError, OSError):
        return []


def _pids_below(folder: Path) -> Iterator[int]:
    for place, _, _ in os.walk(folder):
        yield from _pids(Path(place))


def _remove_tree(folder: Path) -> bool:
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(place).rmdir()
    return not folder.exists()


def _until_gone() -> Iterator[None]:
    """Again and again, a little later each time, until PATIENCE is at its end."""
    deadline, pause = clock.SYSTEM.monotonic() + PATIENCE, 0.002
    while clock.SYSTEM.monotonic() < deadline:
        yield
        clock.sleep(pause)
        pause = min(0.1, pause * 2)
