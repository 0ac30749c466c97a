"""Questions to ask of any object."""

from k3py.api.kind import Kind
from k3py.api.objects import Key, Object


def key(obj: Object) -> Key:
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def uid(obj: Object) -> str:
    found: str = obj["metadata"]["uid"]
    return found


def revision(obj: Object) -> int:
    """The resourceVersion as a number; 0 when there is none."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def controller(obj: Object) -> Object | None:
    """The owner reference of what controls `obj`, if anything does."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            found: Object = ref
            return found
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    ref = controller(obj)
    return ref is not None and bool(ref["uid"] == owner["metadata"]["uid"])


def controller_ref(kind: Kind, owner: Object) -> Object:
    """The owner reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def reference(kind: Kind, obj: Object) -> Object:
    """An ObjectReference to `obj`, as Events carry it."""
    metadata = obj["metadata"]
    ref = {
        "kind": kind.kind,
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata.get("uid"),
        "apiVersion": kind.api_version,
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {k: v for k, v in ref.items() if v}
