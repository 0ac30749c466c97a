"""What is wrong with a container's environment variables."""

import re
from collections.abc import Iterator
from typing import Any

from k3py.api import names
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import keyvalues
from k3py.kinds import problems as wrong

_NAME = re.compile(r"[ -<>-~]+")
_NAME_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['.*'\]")


def problems(container: Object, path: str) -> Iterator[Problem]:
    for index, variable in enumerate(container.get("env") or ()):
        where = f"{path}.env[{index}]"
        yield from wrong.named(f"{where}.name", variable.get("name"), _name_problem)
        if variable.get("valueFrom") is not None:
            yield from _source(variable, f"{where}.valueFrom")
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from _whole(source, f"{path}.envFrom[{index}]")


def field_ref(ref: Object, path: str, fields: tuple[str, ...]) -> Iterator[Problem]:
    """What is wrong with a reference to one of the pod's own fields."""
    found = ref.get("fieldPath")
    if not found:
        yield wrong.required(f"{path}.fieldPath")
    elif found not in fields and not _SUBSCRIPT.fullmatch(found):
        yield wrong.unsupported(f"{path}.fieldPath", found, fields)


def resource_ref(ref: Object, path: str, *, named: bool = False) -> Iterator[Problem]:
    """What is wrong with a reference to a container's resource; `named`: must say which."""
    resource = ref.get("resource") or ""
    if named and not ref.get("containerName"):
        yield wrong.required(f"{path}.containerName")
    if not resource:
        yield wrong.required(f"{path}.resource")
    elif resource not in RESOURCES and ".hugepages-" not in resource:
        yield wrong.unsupported(f"{path}.resource", resource, RESOURCES)


def _name_problem(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else _NAME_RULE


def _source(variable: Object, path: str) -> Iterator[Problem]:
    source = variable["valueFrom"]
    given = [name for name in _SOURCES if source.get(name) is not None]
    if not given:
        yield wrong.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`",
        )
    elif variable.get("value"):
        yield wrong.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield wrong.invalid(path, "", "may not have more than one field specified at a time")
    for name in given:
        yield from _reference(name, source[name], f"{path}.{name}")


def _reference(name: str, ref: Any, path: str) -> Iterator[Problem]:
    match name:
        case "fieldRef":
            yield from field_ref(ref, path, FIELDS)
        case "resourceFieldRef":
            yield from resource_ref(ref, path)
        case "configMapKeyRef" | "secretKeyRef":
            if not ref.get("name"):
                yield wrong.required(f"{path}.name")
            yield from wrong.named(f"{path}.key", ref.get("key"), keyvalues.key_problem)


def _whole(source: Object, path: str) -> Iterator[Problem]:
    given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
    if source.get("prefix") and (why := _name_problem(source["prefix"])):
        yield wrong.invalid(f"{path}.prefix", source["prefix"], why)
    if not given:
        yield wrong.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield wrong.invalid(path, "", "may not have more than one field specified at a time")
    for name in given:
        yield from wrong.named(
            f"{path}.{name}.name", source[name].get("name"), names.subdomain_problem
        )
