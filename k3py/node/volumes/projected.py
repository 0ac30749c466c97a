"""projected volumes: several sources in one folder, the service account's token among them.

A token is kept in the folder beside the volume together with its times, so a restarted
agent asks for no new one before the old one has lived four fifths of its life.
"""

import contextlib
from datetime import datetime
from pathlib import Path

import orjson

from k3py.api import times
from k3py.api.objects import Object
from k3py.base import files as files_
from k3py.node.sources import Token
from k3py.node.volumes import atomic, content
from k3py.node.volumes.volume import Request, VolumeProblem

SHORTEST_TOKEN_SECONDS = 600
_USUAL_TOKEN_SECONDS = 3600


class Projected:
    def prepare(self, request: Request) -> Path:
        mode = request.source.get("defaultMode") or content.DEFAULT_MODE
        files: content.Files = {}
        for source in request.source.get("sources") or ():
            files |= _of_source(request, source, mode)
        atomic.write(request.memory, files, now=request.now, group=request.group)
        return request.memory

    def is_live(self, source: Object) -> bool:
        return True


def _of_source(request: Request, source: Object, mode: int) -> content.Files:
    match source:
        case {"configMap": wanted}:
            return content.of_config_map(request, wanted, mode)
        case {"secret": wanted}:
            return content.of_secret(request, wanted, mode)
        case {"downwardAPI": wanted}:
            return content.of_fields(request, wanted, mode)
        case {"serviceAccountToken": wanted}:
            return _token(request, wanted, mode)
        case _:
            raise VolumeProblem(f"projected source {next(iter(source), '')} is not supported")


def _token(request: Request, wanted: Object, mode: int) -> content.Files:
    audience = wanted.get("audience") or ""
    seconds = max(int(wanted.get("expirationSeconds") or _USUAL_TOKEN_SECONDS), 600)
    path = wanted["path"]
    if not atomic.safe(path):
        raise VolumeProblem(f"invalid path {path!r}: must stay inside the volume")
    kept = request.memory.with_name(f".{request.memory.name}.{path.replace('/', '_')}.token")
    token = _read(kept)
    if token is None or token.is_old(request.now):
        token = request.sources.token(request.pod, audience, seconds)
        _keep(kept, token)
    return {path: atomic.File(token.text.encode(), _token_mode(request, mode))}


def _token_mode(request: Request, mode: int) -> int:
    """0600 for root, 0644 with a user, as Kubernetes has it; an fsGroup adds its own right."""
    context = request.pod["spec"].get("securityContext") or {}
    if context.get("runAsUser") or any(
        (c.get("securityContext") or {}).get("runAsUser") for c in request.pod["spec"]["containers"]
    ):
        return mode
    return 0o600 if request.group is not None else mode


def _read(path: Path) -> Token | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        kept = orjson.loads(path.read_bytes())
        return Token(kept["token"], _time(kept["issued"]), _time(kept["expires"]))
    return None


def _keep(path: Path, token: Token) -> None:
    kept = {
        "token": token.text,
        "issued": times.stamp(token.issued),
        "expires": times.stamp(token.expires),
    }
    files_.write(path, orjson.dumps(kept), mode=0o600, durable=False)


def _time(text: str) -> datetime:
    return times.parse(text)
