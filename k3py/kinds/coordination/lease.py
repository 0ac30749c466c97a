"""Leases: who holds something, and until when."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from k3py.api import times
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.defaults import section


def holder(lease: Object) -> str:
    """Who holds it; empty for nobody."""
    return lease["spec"].get("holderIdentity") or ""


def is_expired(lease: Object, now: datetime) -> bool:
    """Whether its holder let it lapse; one that was never renewed counts as lapsed."""
    spec = lease["spec"]
    if not spec.get("renewTime"):
        return True
    lasts = timedelta(seconds=spec.get("leaseDurationSeconds") or 0)
    return times.parse(spec["renewTime"]) + lasts < now


class LeaseKind(Kind):
    def default(self, obj: Object) -> None:
        section(obj, "spec")

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        spec = obj["spec"]
        seconds = spec.get("leaseDurationSeconds")
        if seconds is not None and seconds <= 0:
            yield wrong.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
        yield from wrong.not_negative("spec.leaseTransitions", spec.get("leaseTransitions"))


LEASE = LeaseKind(
    "coordination.k8s.io/v1", "Lease", "leases", columns=(Column("Holder", holder), AGE)
)
