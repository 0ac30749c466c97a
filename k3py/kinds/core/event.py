"""Events: what happened to an object, for a person to read."""

from collections.abc import Iterator

from k3py.api import wellknown
from k3py.api.kind import Column, Kind, Problem, Since
from k3py.api.objects import Object
from k3py.kinds import problems as wrong

_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


class EventKind(Kind):
    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        own = obj["metadata"].get("namespace") or ""
        about = (obj.get("involvedObject") or {}).get("namespace") or ""
        if own != about and not (not about and own == wellknown.DEFAULT):
            yield wrong.invalid("involvedObject.namespace", about, "does not match event.namespace")
        if obj.get("eventTime"):
            yield from _new_style(obj)
        if old is not None and (old.get("involvedObject") or {}) != (
            obj.get("involvedObject") or {}
        ):
            yield wrong.invalid("involvedObject", obj.get("involvedObject"), wrong.IMMUTABLE)


def _new_style(event: Object) -> Iterator[Problem]:
    """An event with an eventTime is one of events.k8s.io, whose rules are stricter."""
    if not event.get("reportingComponent"):
        yield wrong.required("reportingController")
    if not event.get("reportingInstance"):
        yield wrong.required("reportingInstance")
    if not event.get("action"):
        yield wrong.required("action")
    if not event.get("reason"):
        yield wrong.required("reason")
    if event.get("type") not in ("Normal", "Warning"):
        yield wrong.invalid("type", event.get("type") or "", "has invalid value: ")


def _last_seen(event: Object) -> Since:
    series = event.get("series") or {}
    return Since(series.get("lastObservedTime") or event.get("lastTimestamp") or _first_time(event))


def _first_time(event: Object) -> str | None:
    found: str | None = event.get("firstTimestamp") or event.get("eventTime")
    return found


def _object(event: Object) -> str:
    about = event.get("involvedObject") or {}
    kind, name = (about.get("kind") or "").lower(), about.get("name")
    return f"{kind}/{name}" if name else kind


def _source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    instance = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component


def _count(event: Object) -> int:
    series = event.get("series") or {}
    return series.get("count") or event.get("count") or 1


EVENT = EventKind(
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    selectable={
        **{
            f"involvedObject.{name}": lambda event, name=name: (  # type: ignore[misc]
                (event.get("involvedObject") or {}).get(name) or ""
            )
            for name in _REFERENCE
        },
        "reason": lambda event: event.get("reason") or "",
        "reportingComponent": lambda event: event.get("reportingComponent") or "",
        "source": lambda event: (
            (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
        ),
        "type": lambda event: event.get("type") or "",
    },
    columns=(
        Column("Last Seen", _last_seen),
        Column("Type", lambda event: event.get("type") or ""),
        Column("Reason", lambda event: event.get("reason") or ""),
        Column("Object", _object),
        Column(
            "Subobject",
            lambda event: (event.get("involvedObject") or {}).get("fieldPath") or "",
            priority=1,
        ),
        Column("Source", _source, priority=1),
        Column("Message", lambda event: (event.get("message") or "").strip()),
        Column("First Seen", lambda event: Since(_first_time(event)), priority=1),
        Column("Count", _count, priority=1),
        Column("Name", lambda event: event["metadata"]["name"], format="name", priority=1),
    ),
)
