"""From config maps, secrets, fields and tokens to files: what projected volumes are made of."""

import base64
from collections.abc import Mapping

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.kinds import CONFIG_MAP, SECRET
from k3py.node import environment
from k3py.node.volumes import atomic
from k3py.node.volumes.atomic import File
from k3py.node.volumes.volume import Request, VolumeProblem

DEFAULT_MODE = 0o644

Files = dict[str, File]


def of_config_map(request: Request, source: Object, mode: int) -> Files:
    return _of_object(request, CONFIG_MAP, source.get("name") or "", source, mode)


def of_secret(request: Request, source: Object, mode: int) -> Files:
    name = source.get("secretName") or source.get("name") or ""
    return _of_object(request, SECRET, name, source, mode)


def of_fields(request: Request, source: Object, mode: int) -> Files:
    """The downward API. Raises VolumeProblem."""
    found = {}
    for item in source.get("items") or ():
        try:
            if "fieldRef" in item:
                path = item["fieldRef"]["fieldPath"]
                text = environment.field(request.pod, path, request.facts)
            else:
                reference = item["resourceFieldRef"]
                text = environment.resource(request.pod, {"name": ""}, reference, request.facts)
        except environment.ConfigProblem as problem:
            raise VolumeProblem(str(problem)) from problem
        path = _checked(item["path"])
        found[path] = File(text.encode(), item.get("mode") or mode)
    return found


def data(kind: Kind, obj: Object) -> Mapping[str, bytes]:
    """Everything in a config map or a secret, as bytes."""
    if kind is SECRET:
        return {k: base64.b64decode(v or "") for k, v in (obj.get("data") or {}).items()}
    found = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
    return found | {k: base64.b64decode(v) for k, v in (obj.get("binaryData") or {}).items()}


def _of_object(request: Request, kind: Kind, name: str, source: Object, mode: int) -> Files:
    key = Key(request.pod["metadata"]["namespace"], name)
    try:
        found = data(kind, request.sources.get(kind, key))
    except errors.NotFound as missing:
        if source.get("optional"):
            return {}
        raise VolumeProblem(f'{kind.singular} "{name}" not found') from missing
    items = source.get("items")
    if not items:
        return {k: File(v, mode) for k, v in found.items()}
    files = {}
    for item in items:
        if item["key"] in found:
            files[_checked(item["path"])] = File(found[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise VolumeProblem(f"references non-existent {kind.singular} key: {item['key']}")
    return files


def _checked(path: str) -> str:
    if not atomic.safe(path):
        raise VolumeProblem(f"invalid path {path!r}: must stay inside the volume")
    return path
