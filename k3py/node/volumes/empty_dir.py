"""emptyDir volumes: a folder that lives as long as the pod, on disk or in memory."""

import os
from pathlib import Path

from k3py.api import quantities
from k3py.api.objects import Object
from k3py.node import mounts
from k3py.node.volumes.volume import Request, VolumeProblem


class EmptyDir:
    """`sizeLimit` bounds one in memory; on disk nothing enforces it."""

    def prepare(self, request: Request) -> Path:
        match request.source.get("medium") or "":
            case "":
                folder = request.disk
                if folder.exists():
                    return folder
                folder.mkdir(parents=True)
            case "Memory":
                folder = request.memory
                if mounts.is_mount(folder):
                    return folder
                folder.mkdir(parents=True, exist_ok=True)
                limit = request.source.get("sizeLimit")
                mounts.tmpfs(folder, size=quantities.whole(limit) if limit else 0)
            case other:
                raise VolumeProblem(f'unknown storage medium "{other}"')
        # Only once: what the pod does to its folder afterwards is its own affair.
        folder.chmod(0o777)
        if request.group is not None:
            os.chown(folder, -1, request.group)
            folder.chmod(0o2777)
        return folder

    def is_live(self, source: Object) -> bool:
        return False
