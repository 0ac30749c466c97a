"""What deleting an object means: gone at once, after its grace, or when nothing holds it.

delete ──► gone                      nothing holds it
      ├──► deletionTimestamp ──► the kubelet deletes with grace 0     a running pod
      ├──► deletionTimestamp ──► the last finalizer is removed        finalizers
      └──► Terminating ──► emptied and finalized                      a namespace
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from k3py.api import errors, times
from k3py.api.kind import Kind
from k3py.api.objects import Object, copy
from k3py.api.wellknown import FINALIZER_FOREGROUND, FINALIZER_ORPHAN
from k3py.apiserver import patching
from k3py.apiserver.request import Options
from k3py.kinds import NAMESPACE, POD

DEFAULT_GRACE_SECONDS = 30
_LONGEST_GRACE_SECONDS = 10**9  # longer than any pod lives; the end must be a date
_ENDED = ("Succeeded", "Failed")
_POLICIES = ("", "Orphan", "Background", "Foreground")


def options(query: Options, body: Mapping[str, Any] | None) -> Options:
    """The options of a deletion, from its query and from a DeleteOptions body, which wins.

    Raises BadRequest.
    """
    body = patching.decoded_as("v1", "DeleteOptions", body or {})
    conditions = body.get("preconditions") or {}
    propagation = body.get("propagationPolicy") or query.propagation
    if body.get("orphanDependents") is not None and not propagation:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    if propagation not in _POLICIES:
        raise errors.Invalid(
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
            f'"{propagation}": supported values: "Foreground", "Background", "Orphan", "nil"'
        )
    grace = body.get("gracePeriodSeconds")
    return Options(
        dry_run=query.dry_run or "All" in (body.get("dryRun") or ()),
        grace=grace if grace is not None else query.grace,
        propagation=propagation,
        uid=str(conditions.get("uid") or ""),
        revision=str(conditions.get("resourceVersion") or ""),
        labels=query.labels,
        fields=query.fields,
    )


def check_preconditions(kind: Kind, obj: Object, wanted: Options) -> None:
    """Raises Conflict when the object is not the one that was meant."""
    metadata = obj["metadata"]
    pairs = (
        ("UID", wanted.uid, metadata["uid"]),
        ("ResourceVersion", wanted.revision, metadata["resourceVersion"]),
    )
    for what, meant, found in pairs:
        if meant and meant != found:
            why = f"the {what} in the precondition ({meant}) does not match the {what} in record "
            why += f"({found}). The object might have been deleted and then recreated"
            raise errors.conflict(kind, metadata["name"], why)


def marked(kind: Kind, old: Object, wanted: Options, now: datetime) -> Object:
    """`old` as it is while it is being deleted; it may go at once when `is_finished`."""
    obj: Object = copy(old)
    metadata = obj["metadata"]
    _set_finalizers(metadata, wanted.propagation)
    grace = _grace(kind, obj, wanted.grace)
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = times.stamp(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    elif _shortens(metadata, wanted.grace):
        metadata["deletionTimestamp"] = times.stamp(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
    if kind is NAMESPACE:
        obj["status"] = obj.get("status", {}) | {"phase": "Terminating"}
    return obj


def is_finished(kind: Kind, obj: Object) -> bool:
    """Whether nothing holds an object that is being deleted."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind is NAMESPACE and obj.get("spec", {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def _set_finalizers(metadata: Object, propagation: str) -> None:
    if not propagation:
        return
    holders = (FINALIZER_ORPHAN, FINALIZER_FOREGROUND)
    kept = [f for f in metadata.get("finalizers") or () if f not in holders]
    if propagation == "Orphan":
        kept.append(FINALIZER_ORPHAN)
    elif propagation == "Foreground":
        kept.append(FINALIZER_FOREGROUND)
    metadata["finalizers"] = kept
    if not kept:
        del metadata["finalizers"]


def _grace(kind: Kind, obj: Object, wanted: int | None) -> int:
    """In seconds. Only a pod that may be running needs any."""
    if kind is not POD:
        return 0
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in _ENDED:
        return 0
    own = obj["spec"].get("terminationGracePeriodSeconds")
    grace = wanted if wanted is not None else own
    if grace is None:
        return DEFAULT_GRACE_SECONDS
    return 1 if grace < 0 else min(int(grace), _LONGEST_GRACE_SECONDS)


def _shortens(metadata: Object, wanted: int | None) -> bool:
    """Whether a second deletion is more urgent than the first; it is never less."""
    return wanted is not None and max(wanted, 0) < (metadata.get("deletionGracePeriodSeconds") or 0)
