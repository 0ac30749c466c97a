"""managedFields: who owns which fields, as the metadata of an object records it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from k3py.api import times
from k3py.api.objects import Object, Objects
from k3py.api.patch import fieldset
from k3py.api.patch.fieldset import FieldSet

APPLY = "Apply"
UPDATE = "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
_ANCIENT = "ancient-changes"
_MOST_UPDATERS = 10


@dataclass(frozen=True)
class Owner:
    """Who: one tool, and the way it writes. Appliers are one whatever version they apply."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        """As in Kubernetes' messages about conflicts."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text if self.operation == APPLY else f"{text} using {self.api_version}"


@dataclass(frozen=True)
class Owned:
    """What: the fields, when they were last changed, and the version they are told in."""

    fields: FieldSet
    time: str
    api_version: str


Managers = dict[Owner, Owned]


def owner(manager: str, operation: str, api_version: str, subresource: str = "") -> Owner:
    return Owner(manager, operation, "" if operation == APPLY else api_version, subresource)


def decode(entries: Any) -> Managers:
    """What managedFields say. Raises ValueError for what is none."""
    found: Managers = {}
    for entry in entries or ():
        if not isinstance(entry, dict):
            raise ValueError("an entry of managedFields is not an object")
        operation, version = entry.get("operation"), entry.get("apiVersion") or ""
        if operation not in (APPLY, UPDATE) or not version:
            raise ValueError("an entry of managedFields lacks operation or apiVersion")
        who = owner(entry.get("manager") or "", operation, version, entry.get("subresource") or "")
        fields = fieldset.decode(entry.get("fieldsV1") or {})
        if who in found:
            fields |= found[who].fields
        found[who] = Owned(fields, entry.get("time") or "", version)
    return found


def encode(managers: Managers) -> Objects:
    """As managedFields, in Kubernetes' order; who owns nothing is left out."""
    entries = [_entry(who, what) for who, what in _capped(managers).items() if what.fields]
    return sorted(entries, key=_order)


def is_reset(entries: Any) -> bool:
    """Whether somebody asks for all ownership to be forgotten."""
    return bool(entries == [{}])


def touched(managers: Managers, who: Owner, fields: FieldSet, now: datetime, version: str) -> None:
    """Record, in place, what `who` owns now; the time stays when that is what it owned before."""
    before = managers.get(who)
    if before and before.fields == fields and before.api_version == version:
        return
    managers[who] = Owned(fields, times.stamp(now), version)


def without(managers: Managers, gone: FieldSet, *, but: Iterable[Owner] = ()) -> Managers:
    """The same, with `gone` taken from everyone but some."""
    spared = set(but)
    return {
        who: what if who in spared else replace(what, fields=what.fields - gone)
        for who, what in managers.items()
    }


def _entry(who: Owner, what: Owned) -> Object:
    entry = {
        "manager": who.manager,
        "operation": who.operation,
        "apiVersion": what.api_version,
        "time": what.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldset.encode(what.fields),
        "subresource": who.subresource,
    }
    return {k: v for k, v in entry.items() if v}


def _order(entry: Object) -> tuple[str, ...]:
    names = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(entry.get(name, "") for name in names)


def _capped(managers: Managers) -> Managers:
    """The same with the oldest of too many updaters made into one, as Kubernetes does."""
    updaters = [who for who in managers if who.operation == UPDATE and managers[who].fields]
    extra = len(updaters) - _MOST_UPDATERS
    if extra <= 0:
        return managers
    updaters.sort(key=lambda who: (managers[who].time, who.manager))
    done = dict(managers)
    for who in updaters[: extra + 1]:
        what = done.pop(who)
        bucket = owner(_ANCIENT, UPDATE, what.api_version)
        had = done.get(bucket)
        fields = what.fields | (had.fields if had else fieldset.EMPTY)
        done[bucket] = Owned(fields, max(what.time, had.time if had else ""), what.api_version)
    return done
