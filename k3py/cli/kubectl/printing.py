"""Tables, YAML and JSON, as kubectl prints them."""

import json
import re

import click
import yaml

from k3py.api.objects import Object

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def joined(tables: list[Object]) -> Object:
    """Tables of one kind as one."""
    return tables[0] | {"rows": [row for table in tables for row in table.get("rows") or ()]}


def table(answer: Object, *, wide: bool, namespaces: bool, prefix: str = "") -> str:
    """A meta.k8s.io/v1 Table as columns of text; empty without rows. `prefix`: of the names."""
    shown = [i for i, c in enumerate(answer["columnDefinitions"]) if wide or not c.get("priority")]
    head = [answer["columnDefinitions"][i]["name"].upper() for i in shown]
    rows = []
    for row in answer.get("rows") or ():
        cells = [str(row["cells"][i]) if row["cells"][i] is not None else "" for i in shown]
        space = [row["object"]["metadata"].get("namespace", "")] if namespaces else []
        rows.append(space + cells)
        rows[-1][len(space)] = prefix + rows[-1][len(space)]
    if not rows:
        return ""
    return columns([["NAMESPACE", *head] if namespaces else head, *rows]) + "\n"


def columns(rows: list[list[str]]) -> str:
    """Left-aligned, three spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def objects(found: list[Object], output: str, *, single: bool) -> str:
    if output == "name":
        return "\n".join(map(_reference, found))
    whole = found[0] if single else {"apiVersion": "v1", "kind": "List", "items": found}
    for obj in found:
        obj["metadata"].pop("managedFields", None)
    if output == "json":
        return json.dumps(whole, indent=4)
    return str(yaml.safe_dump(whole, sort_keys=False)).rstrip("\n")


def _reference(obj: Object) -> str:
    """deployment.apps/web"""
    group = obj["apiVersion"].rpartition("/")[0]
    kind = obj["kind"].lower()
    return (
        f"{kind}.{group}/{obj['metadata']['name']}"
        if group
        else f"{kind}/{obj['metadata']['name']}"
    )


def seconds(text: str) -> int:
    """10s, 5m, 2h as seconds."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise click.BadParameter(f"{text!r} is not like 10s, 5m or 2h", param_hint="--since")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
