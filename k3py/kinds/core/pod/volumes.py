"""What is wrong with a pod's volumes."""

from collections.abc import Iterator, Sequence
from typing import Any

from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.core.pod import containers, environment

_HOST_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
_ONE_SOURCE = "may not specify more than 1 volume type"
_REQUIRED = {
    "hostPath": ("path",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
}
_SHORTEST_TOKEN_SECONDS = 600


def names(spec: Object) -> set[str]:
    return {v["name"] for v in spec.get("volumes") or () if v.get("name")}


def problems(volumes: Sequence[Object], field: str) -> Iterator[Problem]:
    named = [(f"[{i}].name", v["name"]) for i, v in enumerate(volumes) if v.get("name")]
    yield from wrong.unique(field, named)
    for index, volume in enumerate(volumes):
        path = f"{field}[{index}]"
        yield from wrong.named(f"{path}.name", volume.get("name"))
        sources = [n for n in volume if n != "name" and volume[n] is not None]
        if not sources:
            yield wrong.required(path, "must specify a volume type")
        for extra in sources[1:]:
            yield wrong.forbidden(f"{path}.{extra}", _ONE_SOURCE)
        for source in sources[:1]:
            yield from _source(source, volume[source], f"{path}.{source}")


def _source(kind: str, source: Any, path: str) -> Iterator[Problem]:
    for name in _REQUIRED.get(kind, ()):
        if not source.get(name):
            yield wrong.required(f"{path}.{name}")
    match kind:
        case "hostPath":
            yield from _host_path(source, path)
        case "secret" | "configMap" | "downwardAPI":
            yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
            yield from _items(kind, source, path)
        case "projected":
            yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
            for index, part in enumerate(source.get("sources") or ()):
                yield from _projection(part, f"{path}.sources[{index}]")
        case "emptyDir":
            yield from _size(source.get("sizeLimit"), f"{path}.sizeLimit")
        case "nfs":
            if source.get("path") and not source["path"].startswith("/"):
                yield wrong.invalid(f"{path}.path", source["path"], "must be an absolute path")


def _host_path(source: Object, path: str) -> Iterator[Problem]:
    if ".." in (source.get("path") or "").split("/"):
        yield wrong.invalid(f"{path}.path", source["path"], "must not contain '..'")
    if (source.get("type") or "") not in _HOST_TYPES:
        yield wrong.unsupported(f"{path}.type", source["type"], _HOST_TYPES)


def _size(limit: Any, path: str) -> Iterator[Problem]:
    if limit is not None:
        yield from (
            problem._replace(field=path)
            for problem in containers.amount_problems({"ephemeral-storage": limit}, path)
        )


def _projection(part: Object, path: str) -> Iterator[Problem]:
    given = [name for name in part if part[name] is not None]
    for extra in given[1:]:
        yield wrong.forbidden(f"{path}.{extra}", _ONE_SOURCE)
    for kind in given[:1]:
        source, where = part[kind], f"{path}.{kind}"
        if kind in ("secret", "configMap") and not source.get("name"):
            yield wrong.required(f"{where}.name")
        if kind in ("secret", "configMap", "downwardAPI"):
            yield from _items(kind, source, where)
        if kind == "serviceAccountToken":
            yield from _token(source, where)


def _token(source: Object, path: str) -> Iterator[Problem]:
    seconds = source.get("expirationSeconds") or 0
    if seconds < _SHORTEST_TOKEN_SECONDS:
        yield wrong.invalid(
            f"{path}.expirationSeconds",
            seconds,
            "may not specify a duration less than 10 minutes",
        )
    if not source.get("path"):
        yield wrong.required(f"{path}.path")
    else:
        yield from containers.local_path(f"{path}.path", source["path"])


def _items(kind: str, source: Object, path: str) -> Iterator[Problem]:
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]" if kind != "downwardAPI" else f"{path}[{index}]"
        if kind == "downwardAPI":
            yield from _downward(item, where)
        elif not item.get("key"):
            yield wrong.required(f"{where}.key")
        if not item.get("path"):
            yield wrong.required(f"{where}.path")
        else:
            yield from containers.local_path(f"{where}.path", item["path"])
        yield from _mode(f"{where}.mode", item.get("mode"))


def _downward(item: Object, path: str) -> Iterator[Problem]:
    if ref := item.get("fieldRef"):
        yield from environment.field_ref(ref, f"{path}.fieldRef", environment.VOLUME_FIELDS)
    elif ref := item.get("resourceFieldRef"):
        yield from environment.resource_ref(ref, f"{path}.resourceFieldRef", named=True)
    else:
        yield wrong.required(path, "one of fieldRef and resourceFieldRef is required")


def _mode(field: str, mode: int | None) -> Iterator[Problem]:
    if mode is not None and not 0 <= mode <= 0o777:
        yield wrong.invalid(field, mode, _MODE_RULE)
