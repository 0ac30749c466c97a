"""configMap volumes: each key a file."""

from pathlib import Path

from k3py.api.objects import Object
from k3py.node.volumes import atomic, content
from k3py.node.volumes.volume import Request


class ConfigMapVolume:
    def prepare(self, request: Request) -> Path:
        mode = request.source.get("defaultMode") or content.DEFAULT_MODE
        files = content.of_config_map(request, request.source, mode)
        atomic.write(request.memory, files, now=request.now, group=request.group)
        return request.memory

    def is_live(self, source: Object) -> bool:
        return True
