"""Deployments: pods from a template, replaced gently when it changes."""

from collections.abc import Iterator
from typing import Any

from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import intorpercent
from k3py.kinds import problems as wrong
from k3py.kinds.apps import template
from k3py.kinds.defaults import fill, fill_empty, section

_MOST_SECONDS = 2**31 - 1


def is_paused(deployment: Object) -> bool:
    return bool(deployment["spec"].get("paused"))


def is_recreated(deployment: Object) -> bool:
    """Whether all its old pods go before the first new one comes."""
    return bool(deployment["spec"]["strategy"]["type"] == "Recreate")


def max_surge(deployment: Object) -> int:
    """How many pods there may be above the wanted number during a rollout."""
    if is_recreated(deployment):
        return 0
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    return intorpercent.scaled(rolling["maxSurge"], deployment["spec"]["replicas"], up=True)


def max_unavailable(deployment: Object) -> int:
    """How many pods may be missing during a rollout; at least one when none may surge."""
    replicas: int = deployment["spec"]["replicas"]
    if is_recreated(deployment) or replicas == 0:
        return 0
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    missing = intorpercent.scaled(rolling["maxUnavailable"], replicas, up=False)
    if missing == 0 and max_surge(deployment) == 0:
        return 1
    return min(missing, replicas)


class DeploymentKind(Kind):
    def default(self, obj: Object) -> None:
        spec = section(obj, "spec")
        fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        strategy = section(spec, "strategy")
        fill_empty(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(section(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
        template.default_template(section(spec, "template"))

    def prepare(self, obj: Object, old: Object | None) -> None:
        if old is None:
            obj["status"] = {}

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        spec = obj["spec"]
        yield from template.problems(obj, old)
        yield from _strategy(spec["strategy"])
        yield from wrong.not_negative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        deadline = spec["progressDeadlineSeconds"]
        yield from wrong.not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline != _MOST_SECONDS and deadline <= (spec.get("minReadySeconds") or 0):
            yield wrong.invalid(
                "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
            )

    def validate_status(self, obj: Object, old: Object) -> Iterator[Problem]:
        status = obj.get("status") or {}
        total = status.get("replicas", 0)
        for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
            yield from wrong.not_negative(f"status.{name}", status.get(name))
            if name != "replicas" and status.get(name, 0) > total:
                yield wrong.invalid(
                    f"status.{name}", status[name], "cannot be greater than status.replicas"
                )


def _strategy(strategy: Object) -> Iterator[Problem]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    path = "spec.strategy.rollingUpdate"
    if kind == "Recreate":
        if rolling is not None:
            yield wrong.forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
        return
    if kind != "RollingUpdate":
        yield wrong.unsupported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))
        return
    yield from _rolling(rolling or {}, path)


def _rolling(rolling: Object, path: str) -> Iterator[Problem]:
    missing: Any = rolling.get("maxUnavailable")
    surge: Any = rolling.get("maxSurge")
    yield from intorpercent.problems(f"{path}.maxUnavailable", missing)
    yield from intorpercent.problems(f"{path}.maxSurge", surge)
    if intorpercent.is_nothing(missing) and intorpercent.is_nothing(surge):
        yield wrong.invalid(f"{path}.maxUnavailable", missing, "may not be 0 when `maxSurge` is 0")
    if intorpercent.is_over_whole(missing):
        yield wrong.invalid(f"{path}.maxUnavailable", missing, "must not be greater than 100%")


DEPLOYMENT = DeploymentKind(
    "apps/v1",
    "Deployment",
    "deployments",
    short_names=("deploy",),
    has_status=True,
    has_scale=True,
    categories=("all",),
    columns=(
        Column("Ready", lambda d: f"{_count(d, 'readyReplicas')}/{d['spec']['replicas']}"),
        Column("Up-to-date", lambda d: _count(d, "updatedReplicas"), "integer"),
        Column("Available", lambda d: _count(d, "availableReplicas"), "integer"),
        AGE,
        *template.WIDE_COLUMNS,
    ),
)


def _count(deployment: Object, name: str) -> int:
    found: int = (deployment.get("status") or {}).get(name) or 0
    return found
