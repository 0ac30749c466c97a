"""`describe`: everything about one object, for a person, with its events at the end.

One form for every kind: what it is, then spec and status as an indented outline, so that
a kind made tomorrow is described too.
"""

from typing import Any

from k3py import kinds
from k3py.api import meta, times
from k3py.api.kind import Kind
from k3py.api.objects import Object, Objects
from k3py.base.clock import SYSTEM
from k3py.cli.kubectl import printing
from k3py.client.client import Client

_LEFT_OUT = ("metadata", "kind", "apiVersion")
# Maps whose keys are names that somebody chose.
_NAMED = {
    "allocatable",
    "annotations",
    "binaryData",
    "capacity",
    "data",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "requests",
    "selector",
}


def text(client: Client, kind: Kind, obj: Object) -> str:
    """Lines without a newline at the end. Secrets' values are told by their length only."""
    metadata = obj["metadata"]
    lines = [f"Name:         {metadata['name']}"]
    if kind.namespaced:
        lines.append(f"Namespace:    {metadata['namespace']}")
    for title, content in (("Labels", meta.labels(obj)), ("Annotations", meta.annotations(obj))):
        lines += _pairs(title, content)
    lines.append(f"Created:      {metadata.get('creationTimestamp', '')}")
    if owner := meta.controller(obj):
        lines.append(f"Controlled By:  {owner['kind']}/{owner['name']}")
    if kind is kinds.SECRET:
        obj = obj | {"data": {k: f"{len(v) * 3 // 4} bytes" for k, v in _data(obj).items()}}
    for field, content in obj.items():
        if field not in _LEFT_OUT and content not in ({}, [], None):
            lines += [f"{_title(field)}:", *_outline(content, 1, named=_is_named(field, content))]
    return "\n".join([*lines, *_events(client, kind, obj)])


def _data(obj: Object) -> dict[str, str]:
    return obj.get("data") or {}


def _pairs(title: str, content: dict[str, str]) -> list[str]:
    texts = [f"{k}={v}" for k, v in sorted(content.items())] or ["<none>"]
    label = f"{title}:".ljust(14)
    return [(label if i == 0 else " " * 14) + line for i, line in enumerate(texts)]


def _outline(content: Any, depth: int, *, named: bool = False) -> list[str]:
    """`named`: the keys are somebody's names, not fields."""
    space = "  " * depth
    if isinstance(content, dict):
        lines = []
        for key, value in content.items():
            title = key if named else _title(key)
            if isinstance(value, dict | list) and value:
                inner = _outline(value, depth + 1, named=_is_named(key, value))
                lines += [f"{space}{title}:", *inner]
            else:
                shown = str(value).replace("\n", "\n" + space + "  ")
                lines.append(f"{space}{title}: {shown}")
        return lines
    if isinstance(content, list):
        lines = []
        for item in content:
            inner = _outline(item, depth + 1)
            lines += [f"{space}- {inner[0].strip()}", *inner[1:]] if inner else [f"{space}-"]
        return lines
    return [f"{space}{content}"]


def _is_named(field: str, content: Any) -> bool:
    """Whether a field's keys are names; a selector's may be fields again."""
    return (
        field in _NAMED
        and isinstance(content, dict)
        and all(isinstance(value, str) for value in content.values())
    )


def _title(field: str) -> str:
    """nodeName is Node Name."""
    if not field.isalnum() or not field[0].islower():
        return field
    spaced = "".join(f" {c}" if c.isupper() else c for c in field)
    return spaced[0].upper() + spaced[1:]


def _events(client: Client, kind: Kind, obj: Object) -> list[str]:
    metadata = obj["metadata"]
    chosen = f"involvedObject.name={metadata['name']},involvedObject.uid={metadata.get('uid')}"
    space = metadata.get("namespace", "default") if kind.namespaced else ""
    found: Objects = client.list(kinds.EVENT, space, fields=chosen).items
    if not found:
        return ["Events:       <none>"]
    now = SYSTEM.now()
    rows = [["  Type", "Reason", "Age", "From", "Message"]]
    for event in sorted(found, key=lambda e: e.get("lastTimestamp") or ""):
        seen = event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
        count = event.get("count") or 1
        age = times.age(times.parse(seen), now) + (f" (x{count})" if count > 1 else "")
        source = (event.get("source") or {}).get("component") or ""
        rows.append([f"  {event['type']}", event["reason"], age, source, event["message"].strip()])
    return ["Events:", printing.columns(rows)]
