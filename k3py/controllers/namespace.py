"""Namespaces: empty one that is being deleted, then let it go.

    Terminating ──► pods go ──► everything else goes ──► finalized ──► gone

Pods go first, so that nothing they still use is taken from under them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from k3py.api import conditions, errors, meta, wellknown
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object, Objects
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.controllers import parallel
from k3py.controllers.controller import Controller, NotYet
from k3py.kinds import ALL, NAMESPACE, POD

LOOK_AGAIN_SECONDS = 15
"""How often to look whether pods are gone, beside being told of each."""
_CONTENTS = tuple(
    kind for kind in ALL if kind.namespaced and not kind.virtual and "delete" in kind.verbs
)


@dataclass
class _Contents:
    """What is left of a namespace: how many of each kind, and how many for each finalizer."""

    kinds: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def count(self, kind: Kind, found: Objects) -> None:
        if found:
            self.kinds[kind.resource if kind.group else f"{kind.plural}."] = len(found)
        for obj in found:
            for finalizer in obj["metadata"].get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1


class NamespaceController(Controller):
    kind = NAMESPACE
    workers = 2

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._namespaces = informers.of(NAMESPACE).cache
        self.attend(informers.of(POD), self._pod_changed)

    def reconcile(self, key: Key) -> None:
        known = self.find(key)
        if known is None or not meta.is_deleting(known):
            return
        namespace = self.client.live.get(NAMESPACE, key)
        if meta.uid(namespace) != meta.uid(known) or not _is_held(namespace):
            return
        contents = _Contents()
        pods_left = self._empty(POD, key.name, contents)
        if not pods_left:
            for kind in _CONTENTS:
                if kind is not POD:
                    self._empty(kind, key.name, contents)
        namespace = self._tell(namespace, contents)
        if pods_left:
            self.queue.add_after(key, LOOK_AGAIN_SECONDS)
        elif contents.kinds or contents.refusals:
            raise NotYet
        else:
            self._finalize(namespace)

    def _empty(self, kind: Kind, namespace: str, contents: _Contents) -> bool:
        """Delete all of a kind; whether something is left."""
        found = self.client.live.list(kind, namespace).items
        doomed = [obj for obj in found if not meta.is_deleting(obj)]
        refusals = parallel.each(doomed, lambda obj: self._delete(kind, obj))
        contents.refusals += [str(refusal) for refusal in refusals]
        left = self.client.live.list(kind, namespace).items if found else []
        contents.count(kind, left)
        return bool(left)

    def _delete(self, kind: Kind, obj: Object) -> None:
        try:
            self.client.live.delete(
                kind, meta.key(obj), propagation="Background", uid=meta.uid(obj)
            )
        except (errors.NotFound, errors.Conflict):
            return  # gone, or a namesake: the next look sees it

    def _finalize(self, namespace: Object) -> None:
        kept = [f for f in _finalizers(namespace) if f != wellknown.FINALIZER_KUBERNETES]
        spec = namespace["spec"] | {"finalizers": kept}
        self.client.update(NAMESPACE, namespace | {"spec": spec}, subresource="finalize")

    def _tell(self, namespace: Object, contents: _Contents) -> Object:
        old = namespace.get("status") or {}
        found: Objects = old.get("conditions") or []
        for kind, (bad, good) in _STATES.items():
            text = _problem(kind, contents)
            reason, message = (bad, text) if text else good
            new = {
                "type": kind,
                "status": "True" if text else "False",
                "reason": reason,
                "message": message,
            }
            found = conditions.updated(found, new, self.clock.now())
        return self.report(namespace, old | {"conditions": found})

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """The last pod that goes lets the rest go on."""
        if new is None and old is not None:
            key = Key("", old["metadata"]["namespace"])
            namespace = self._namespaces.get(key)
            if namespace and meta.is_deleting(namespace):
                self.queue.add(key)


# Each condition: the reason while it holds, and the reason and message once it does not.
_STATES = {
    "NamespaceDeletionDiscoveryFailure": (
        "DiscoveryFailed",
        ("ResourcesDiscovered", "All resources successfully discovered"),
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "GroupVersionParsingFailed",
        ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeletionFailed",
        (
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
    ),
    "NamespaceContentRemaining": (
        "SomeResourcesRemain",
        ("ContentRemoved", "All content successfully removed"),
    ),
    "NamespaceFinalizersRemaining": (
        "SomeFinalizersRemain",
        ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    ),
}


def _problem(kind: str, contents: _Contents) -> str:
    if kind == "NamespaceDeletionContentFailure" and contents.refusals:
        return f"Failed to delete all resource types, {len(contents.refusals)} remaining: " + (
            ", ".join(sorted(set(contents.refusals)))
        )
    if kind == "NamespaceContentRemaining" and contents.kinds:
        left = [f"{k} has {n} resource instances" for k, n in sorted(contents.kinds.items())]
        return "Some resources are remaining: " + ", ".join(left)
    if kind == "NamespaceFinalizersRemaining" and contents.finalizers:
        held = [f"{f} in {n} resource instances" for f, n in sorted(contents.finalizers.items())]
        return "Some content in the namespace has finalizers remaining: " + ", ".join(held)
    return ""


def _is_held(namespace: Object) -> bool:
    return wellknown.FINALIZER_KUBERNETES in _finalizers(namespace)


def _finalizers(namespace: Object) -> Sequence[str]:
    return (namespace.get("spec") or {}).get("finalizers") or ()
