"""ReplicaSets: so many pods, all alike."""

from collections.abc import Iterator

from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.apps import template
from k3py.kinds.defaults import fill, section


class ReplicaSetKind(Kind):
    def default(self, obj: Object) -> None:
        spec = section(obj, "spec")
        fill(spec, replicas=1)
        template.default_template(section(spec, "template"))

    def prepare(self, obj: Object, old: Object | None) -> None:
        if old is None:
            obj["status"] = {"replicas": 0}

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        return template.problems(obj, old)

    def validate_status(self, obj: Object, old: Object) -> Iterator[Problem]:
        status = obj.get("status") or {}
        total = status.get("replicas", 0)
        yield from wrong.not_negative("status.replicas", total)
        for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            yield from wrong.not_negative(f"status.{name}", status.get(name))
            if status.get(name, 0) > total:
                yield wrong.invalid(
                    f"status.{name}", status[name], "cannot be greater than status.replicas"
                )


REPLICA_SET = ReplicaSetKind(
    "apps/v1",
    "ReplicaSet",
    "replicasets",
    short_names=("rs",),
    has_status=True,
    has_scale=True,
    categories=("all",),
    selectable={"status.replicas": lambda rs: str(rs["status"].get("replicas", 0))},
    columns=(
        Column("Desired", lambda rs: rs["spec"]["replicas"], "integer"),
        Column("Current", lambda rs: rs["status"].get("replicas", 0), "integer"),
        Column("Ready", lambda rs: rs["status"].get("readyReplicas", 0), "integer"),
        AGE,
        *template.WIDE_COLUMNS,
    ),
)
