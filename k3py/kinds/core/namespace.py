"""Namespaces: where names are unique, and what is deleted together."""

from k3py.api import wellknown
from k3py.api.kind import AGE, ALL_VERBS, Column, Kind
from k3py.api.objects import Object
from k3py.kinds.defaults import section


def is_terminating(namespace: Object) -> bool:
    return bool(namespace["status"]["phase"] == "Terminating")


class NamespaceKind(Kind):
    def default(self, obj: Object) -> None:
        section(obj, "spec")
        if name := obj["metadata"].get("name"):
            section(obj["metadata"], "labels")[wellknown.NAMESPACE_NAME] = name

    def prepare(self, obj: Object, old: Object | None) -> None:
        if old is None:
            obj["status"] = {"phase": "Active"}
            finalizers = obj["spec"].setdefault("finalizers", [])
            if wellknown.FINALIZER_KUBERNETES not in finalizers:
                finalizers.append(wellknown.FINALIZER_KUBERNETES)
        else:  # only the finalize subresource takes finalizers away
            obj["spec"]["finalizers"] = old["spec"].get("finalizers") or []


NAMESPACE = NamespaceKind(
    "v1",
    "Namespace",
    "namespaces",
    short_names=("ns",),
    namespaced=False,
    has_status=True,
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    subresources=("finalize",),
    selectable={
        "name": lambda namespace: namespace["metadata"]["name"],
        "status.phase": lambda namespace: namespace["status"]["phase"],
    },
    columns=(Column("Status", lambda namespace: namespace["status"]["phase"]), AGE),
)
