"""What may still change once a pod exists: little, for its containers are made from it."""

from collections.abc import Iterator
from typing import Any

from k3py.api.kind import Problem
from k3py.api.objects import Object, copy
from k3py.kinds import problems as wrong

_ALLOWED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
_COUNT = "pod updates may not add or remove containers"
_LISTS = ("containers", "initContainers")


def problems(pod: Object, old: Object) -> Iterator[Problem]:
    """What is wrong with turning `old` into `pod`, whatever each is by itself."""
    new, was = pod["spec"], old["spec"]
    if new == was:
        return
    resized = [n for n in _LISTS if len(new.get(n) or ()) != len(was.get(n) or ())]
    for name in resized:
        yield wrong.forbidden(f"spec.{name}", _COUNT)
    if resized:
        return
    yield from _deadline(new.get("activeDeadlineSeconds"), was.get("activeDeadlineSeconds"))
    yield from _tolerations(new.get("tolerations") or [], was.get("tolerations") or [])
    yield from _gates(new, was)
    if _fixed(new, was) != was:
        yield wrong.forbidden("spec", _ALLOWED)


def status_problems(pod: Object, old: Object) -> Iterator[Problem]:
    """What is wrong with a new status: containers that ended for good do not run again."""
    policy = old["spec"].get("restartPolicy")
    if policy == "Always":
        return
    before = {c["name"]: c for c in old.get("status", {}).get("containerStatuses") or ()}
    for index, container in enumerate(pod.get("status", {}).get("containerStatuses") or ()):
        was = (before.get(container["name"], {}).get("state") or {}).get("terminated")
        if not was or "terminated" in (container.get("state") or {}):
            continue
        if policy == "Never" or was.get("exitCode") == 0:
            yield wrong.forbidden(
                f"status.containerStatuses[{index}].state",
                "may not be transitioned to non-terminated state",
            )


def _fixed(new: Object, was: Object) -> Object:
    """`new` with everything that may change put back to what it was."""
    done: Object = copy(new)
    for name in _LISTS:
        for container, before in zip(done.get(name) or (), was.get(name) or (), strict=True):
            _restore(container, before, "image")
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _restore(done, was, name)
    if (was.get("terminationGracePeriodSeconds") or 0) < 0 and done.get(
        "terminationGracePeriodSeconds"
    ) == 1:
        _restore(done, was, "terminationGracePeriodSeconds")
    if was.get("schedulingGates") and _adds_only(was.get("nodeSelector"), new.get("nodeSelector")):
        _restore(done, was, "nodeSelector")
    return done


def _restore(obj: Object, before: Object, name: str) -> None:
    obj.pop(name, None)
    if name in before:
        obj[name] = before[name]


def _adds_only(was: Any, new: Any) -> bool:
    return dict(new or {}).items() >= dict(was or {}).items()


def _deadline(new: int | None, was: int | None) -> Iterator[Problem]:
    if new is not None and was is not None and new > was:
        yield wrong.invalid(
            "spec.activeDeadlineSeconds", new, "must be less than or equal to previous value"
        )
    elif new is None and was is not None:
        yield wrong.invalid(
            "spec.activeDeadlineSeconds",
            None,
            "must not update from a positive integer to nil value",
        )


def _tolerations(new: list[Object], was: list[Object]) -> Iterator[Problem]:
    kept = [_without_seconds(toleration) for toleration in new]
    if any(_without_seconds(toleration) not in kept for toleration in was):
        yield wrong.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )


def _without_seconds(toleration: Object) -> Object:
    return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}


def _gates(new: Object, was: Object) -> Iterator[Problem]:
    before = {gate["name"] for gate in was.get("schedulingGates") or ()}
    for index, gate in enumerate(new.get("schedulingGates") or ()):
        if gate["name"] not in before:
            yield wrong.forbidden(
                f"spec.schedulingGates[{index}]",
                f"only deletion is allowed, but found new scheduling gate '{gate['name']}'",
            )
