"""What `kubectl get` prints: objects as rows of a Table, meta.k8s.io/v1.

The columns are the kind's; a name comes first unless the kind puts it elsewhere. Ages are
worked out here, once for each answer.
"""

from datetime import datetime
from typing import Any, Literal

from k3py.api import times
from k3py.api.kind import Column, Kind, Since
from k3py.api.objects import Object, Objects

Include = Literal["None", "Metadata", "Object"]

_VERSION = "meta.k8s.io/v1"
_NAME = Column("Name", lambda obj: obj["metadata"].get("name", ""), format="name")


def table(
    kind: Kind,
    objects: Objects,
    *,
    include: Include = "Metadata",
    now: datetime,
    revision: int | str,
    continue_: str = "",
    remaining: int | None = None,
) -> Object:
    """A whole answer to a GET or LIST.

    `include` says what each row brings besides its cells: nothing, the object's metadata, or
    all of it. `continue_` and `remaining` are those of the listing.
    """
    made = _table(kind, objects, include, now, str(revision))
    made["columnDefinitions"] = [_definition(column) for column in columns(kind)]
    if continue_:
        made["metadata"]["continue"] = continue_
    if remaining is not None:
        made["metadata"]["remainingItemCount"] = remaining
    return made


def event(
    kind: Kind, obj: Object, *, include: Include = "Metadata", now: datetime, first: bool
) -> Object:
    """The object of one watch event, as a table of one row; columns only in the `first`.

    A bookmark is a table without rows.
    """
    metadata = obj["metadata"]
    rows = [obj] if "name" in metadata else []
    made = _table(kind, rows, include, now, metadata.get("resourceVersion", ""))
    made["columnDefinitions"] = [_definition(c) for c in columns(kind)] if first else None
    return made


def columns(kind: Kind) -> tuple[Column, ...]:
    if any(column.format == "name" for column in kind.columns):
        return kind.columns
    return (_NAME, *kind.columns)


def _table(kind: Kind, objects: Objects, include: Include, now: datetime, revision: str) -> Object:
    wanted = columns(kind)
    return {
        "kind": "Table",
        "apiVersion": _VERSION,
        "metadata": {"resourceVersion": revision},
        "rows": [_row(wanted, obj, include, now) for obj in objects],
    }


def _row(wanted: tuple[Column, ...], obj: Object, include: Include, now: datetime) -> Object:
    cells = [_cell(column, obj, now) for column in wanted]
    match include:
        case "None":
            return {"cells": cells, "object": None}
        case "Object":
            return {"cells": cells, "object": obj}
    partial = {
        "kind": "PartialObjectMetadata",
        "apiVersion": _VERSION,
        "metadata": obj["metadata"],
    }
    return {"cells": cells, "object": partial}


def _cell(column: Column, obj: Object, now: datetime) -> Any:
    value = column.cell(obj)
    if column.type == "date":
        value = Since(value if isinstance(value, str) else None)
    if isinstance(value, Since):
        if not value.moment:
            return value.unknown
        return value.text.format(times.age(times.parse(value.moment), now))
    return value


def _definition(column: Column) -> Object:
    # Ages are text by the time they are sent, as in the tables of Kubernetes' own kinds.
    return {
        "name": column.name,
        "type": "string" if column.type == "date" else column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }
