"""What must hold for the metadata of any object, whatever its kind."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3py.api import labels, names
from k3py.api.kind import Kind, Problem
from k3py.api.objects import Object

_LARGEST_ANNOTATIONS = 256 * 1024
_RBAC = "rbac.authorization.k8s.io"
_QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def problems(kind: Kind, obj: Object) -> Iterator[Problem]:
    """Everything that is wrong with an object's metadata."""
    metadata = obj["metadata"]
    name = metadata["name"]
    if why := name_problem(kind, name):
        yield Problem("metadata.name", f'Invalid value: "{name}": {why}')
    yield from _label_problems(metadata.get("labels") or {})
    yield from _annotation_problems(metadata.get("annotations") or {})
    yield from _finalizer_problems(metadata.get("finalizers") or ())
    yield from _owner_problems(metadata.get("ownerReferences") or ())


def name_problem(kind: Kind, name: str) -> str | None:
    """Why `name` is not one for this kind; None when it is."""
    if kind.group == _RBAC:
        return names.path_problem(name)
    if kind.kind == "Namespace":
        return names.label_problem(name)
    if kind.kind == "Service":
        return names.label_1035_problem(name)
    return names.subdomain_problem(name)


def shape_problem(metadata: Any) -> str | None:
    """What is wrong with the types of the metadata that the server itself reads."""
    if not isinstance(metadata, dict):
        return "metadata: must be an object"
    for field in ("name", "generateName", "namespace", "uid", "resourceVersion"):
        if not isinstance(metadata.get(field) or "", str):
            return f"metadata.{field}: must be a string"
    for field in ("labels", "annotations"):
        found = metadata.get(field) or {}
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            return f"metadata.{field}: must be a map of strings"
    finalizers = metadata.get("finalizers") or []
    if not isinstance(finalizers, list) or not all(isinstance(f, str) for f in finalizers):
        return "metadata.finalizers: must be a list of strings"
    owners = metadata.get("ownerReferences") or []
    if not isinstance(owners, list) or not all(isinstance(o, dict) for o in owners):
        return "metadata.ownerReferences: must be a list of objects"
    return None


def _label_problems(found: Mapping[str, str]) -> Iterator[Problem]:
    for key, value in found.items():
        if not labels.is_key(key):
            yield Problem("metadata.labels", f'Invalid value: "{key}": {_QUALIFIED}')
        if not labels.is_value(value):
            why = "must be no more than 63 characters" if len(value) > 63 else _VALUE
            yield Problem("metadata.labels", f'Invalid value: "{value}": {why}')


def _annotation_problems(found: Mapping[str, str]) -> Iterator[Problem]:
    for key in found:
        # Kubernetes lowers the case first: annotation keys may have upper case prefixes.
        if not labels.is_key(key.lower()):
            yield Problem("metadata.annotations", f'Invalid value: "{key}": {_QUALIFIED}')
    if sum(len(k) + len(v) for k, v in found.items()) > _LARGEST_ANNOTATIONS:
        yield Problem(
            "metadata.annotations",
            f"Too long: may not be more than {_LARGEST_ANNOTATIONS} bytes",
            "FieldValueTooLong",
        )


def _finalizer_problems(found: Any) -> Iterator[Problem]:
    for finalizer in found:
        if not labels.is_key(finalizer):
            yield Problem("metadata.finalizers", f'Invalid value: "{finalizer}": {_QUALIFIED}')


def _owner_problems(owners: Any) -> Iterator[Problem]:
    controllers = 0
    for at, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield Problem(
                    f"metadata.ownerReferences[{at}].{field}",
                    'Invalid value: "": must not be empty',
                )
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        yield Problem(
            "metadata.ownerReferences",
            "Invalid value: Only one reference can have Controller set to true",
        )
