"""hostPath volumes: a place on the node itself, checked for being what the pod expects."""

import stat
from collections.abc import Callable
from pathlib import Path

from k3py.api.objects import Object
from k3py.node.volumes.volume import Request, VolumeProblem

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


class HostPath:
    def prepare(self, request: Request) -> Path:
        path, kind = Path(request.source["path"]), request.source.get("type") or ""
        if kind == "DirectoryOrCreate" or (kind == "" and not path.exists()):
            # Without a type Kubernetes leaves it to the engine, which makes a folder.
            path.mkdir(parents=True, exist_ok=True, mode=0o755)
        elif kind == "FileOrCreate" and not path.exists():
            path.touch(mode=0o644)
        if kind in _CHECKS:
            is_right, otherwise = _CHECKS[kind]
            try:
                mode = path.stat().st_mode
            except OSError:
                mode = 0
            if not is_right(mode):
                raise VolumeProblem(f"hostPath type check failed: {path} {otherwise}")
        return path

    def is_live(self, source: Object) -> bool:
        return False
