"""Compile the published OpenAPI of Kubernetes into k3py/api/schemas.

    pip install '.[schemas]' && python build/schemas.py

Reads the definitions that kubernetes-validate carries and writes two archives:

    definitions.bin    what decisions need: types, required fields, merge keys
    descriptions.bin   what `kubectl explain` prints, an entry for each package

The package widened every optional type to [type, null] and writes int-or-string and
quantities as oneOf; both are undone here.
"""

import importlib.resources
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from k3py.api import schemas

VERSION = "1.36.0"
TARGET = Path(schemas.__file__).parent
META = "io.k8s.apimachinery.pkg.apis.meta.v1."

# Types whose JSON is not what their Go struct looks like.
SPECIAL: dict[str, dict[str, str]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string", "format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "type": "string",
        "format": "int-or-string",
    },
    META + "Time": {"type": "string", "format": "date-time"},
    META + "MicroTime": {"type": "string", "format": "micro-time"},
    META + "FieldsV1": {"type": "", "format": "object"},
    META + "Patch": {"type": "", "format": "object"},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {"type": "", "format": "object"},
}
# The published defaults that a list's keys lean on: two ports without a protocol are both TCP.
DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}
KEPT = {
    "x-kubernetes-list-type": "list_type",
    "x-kubernetes-list-map-keys": "list_map_keys",
    "x-kubernetes-map-type": "map_type",
    "x-kubernetes-patch-strategy": "patch_strategy",
    "x-kubernetes-patch-merge-key": "merge_key",
    "x-kubernetes-unions": "unions",
}


def main() -> None:
    found = published()
    definitions: dict[str, Any] = {name: compiled(name, raw) for name, raw in found.items()}
    definitions["kinds"] = kinds(found)
    write("definitions.bin", definitions)
    texts: dict[str, Any] = {}
    for name, raw in found.items():
        package, _, short = name.rpartition(".")
        texts.setdefault(package, {})[short] = descriptions(raw)
    write("descriptions.bin", texts)


def published() -> dict[str, Any]:
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{VERSION}-local" / "_definitions.json").read_text()
    found: dict[str, Any] = json.loads(text)["$defs"]
    return found


def compiled(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """A definition: a node, with the kinds it is the schema of."""
    if name in SPECIAL:
        return dict(SPECIAL[name])
    made = node(raw)
    if made.get("type") == "object" and "values" not in made:
        made.setdefault("properties", {})
    for field, child in made.get("properties", {}).items():
        if (name, field) in DEFAULTS:
            child["default"] = DEFAULTS[name, field]
    if "x-kubernetes-group-version-kind" in raw:
        made["kinds"] = [
            [k["group"], k["version"], k["kind"]] for k in raw["x-kubernetes-group-version-kind"]
        ]
    return made


def node(raw: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {short: raw[long] for long, short in KEPT.items() if long in raw}
    if "$ref" in raw:
        return {"ref": raw["$ref"].rpartition("/")[2], **made}
    kind = raw.get("type", "")
    made["type"] = kind if isinstance(kind, str) else kind[0]
    if "format" in raw:
        made["format"] = raw["format"]
    if "properties" in raw:
        made["properties"] = {k: node(v) for k, v in raw["properties"].items()}
    if "items" in raw:
        made["items"] = node(raw["items"])
    if "additionalProperties" in raw:
        made["values"] = node(raw["additionalProperties"])
    if "required" in raw:
        made["required"] = raw["required"]
    return made


def kinds(found: dict[str, Any]) -> dict[str, str]:
    """'apps/v1 Deployment' → the definition of it. What every group has is the core group's."""
    named: dict[str, str] = {}
    for name, raw in found.items():
        for k in raw.get("x-kubernetes-group-version-kind", ()):
            version = f"{k['group']}/{k['version']}" if k["group"] else k["version"]
            named[f"{version} {k['kind']}"] = name
    return named


def descriptions(raw: dict[str, Any]) -> dict[str, str]:
    """What a definition ("") and its fields say about themselves."""
    texts = {"": raw.get("description", "")}
    for field, child in raw.get("properties", {}).items():
        texts[field] = child.get("description", "")
    return {field: text for field, text in texts.items() if text}


def write(name: str, entries: dict[str, Any]) -> None:
    data = schemas.pack(entries)
    (TARGET / name).write_bytes(data)
    print(f"{name}: {len(entries)} entries, {len(data):,} bytes")


if __name__ == "__main__":
    main()
