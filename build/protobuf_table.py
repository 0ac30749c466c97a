"""Compile the field numbers of the built-in kinds into k3py/api/schemas/protobuf.bin.

    python build/protobuf_table.py          # needs `go`, to download the two modules

Facts of two published modules are put together and nothing else of them is kept:

    generated.proto    messages, field numbers, wire types
    *.go               JSON names, what is a pointer, what is omitted when empty, what is inline

A field becomes [number, JSON name, type, shape]. The type is a scalar of protobuf, the
full name of a message, or a special one (SPECIAL); the shapes are those of api/protobuf.py.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from k3py.api import schema, schemas

VERSION = "v0.36.0"
MODULES = ("k8s.io/api", "k8s.io/apimachinery")
LEFT_OUT = ("testapigroup", "imagepolicy", "/extensions/")
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
ENVELOPE = "k8s.io.apimachinery.pkg.runtime.Unknown"
SPECIAL = {
    META + "Time": "time",
    META + "MicroTime": "micro-time",
    META + "FieldsV1": "json",
    META + "Verbs": "strings",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "json",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
}
# Of no group: the options any group takes, and what any group answers.
COMMON = {
    " CreateOptions": META + "CreateOptions",
    " DeleteOptions": META + "DeleteOptions",
    " GetOptions": META + "GetOptions",
    " ListOptions": META + "ListOptions",
    " PatchOptions": META + "PatchOptions",
    " UpdateOptions": META + "UpdateOptions",
    "v1 Status": META + "Status",
    "meta.k8s.io/v1 PartialObjectMetadata": META + "PartialObjectMetadata",
    "meta.k8s.io/v1 PartialObjectMetadataList": META + "PartialObjectMetadataList",
}

_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
_PROTO_FIELD = re.compile(
    r"^  (?:(optional|repeated|required) )?(map<\w+, [\w.]+>|[\w.]+) (\w+) = (\d+);", re.M
)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
_ALIAS = re.compile(r"^type (\w+) =? ?(\w+)\.(\w+)$", re.M)
_IMPORT = re.compile(r'^\t(\w+) "(k8s\.io/[^"]+)"$', re.M)
_GO_FIELD = re.compile(r"^\t(?:(\w+)\s+)?([\w.*\[\]]+)\s+`([^`]*)`", re.M)


class GoField(NamedTuple):
    json: str  # "" when inline
    omitted: bool  # when it is empty
    pointer: bool


class Package(NamedTuple):
    name: str  # k8s.io.api.core.v1
    group: str | None  # of its kinds
    proto: str
    structs: dict[str, str]  # name → the lines between the braces
    aliases: dict[str, str]  # name → the full name of the type it is another name for


def main() -> None:
    packages = [read(f) for module in MODULES for f in folders(download(module))]
    structs = {f"{p.name}.{name}": body for p in packages for name, body in p.structs.items()}
    entries: dict[str, Any] = {}
    kinds: dict[str, str] = dict(COMMON)
    for package in packages:
        for alias, target in package.aliases.items():
            package.structs.setdefault(alias, structs.get(target, ""))
        entries |= messages(package)
        kinds |= named(package)
    kept = reachable(entries, kinds)
    data = schemas.pack({**kept, "kinds": kinds})
    (Path(schemas.__file__).parent / "protobuf.bin").write_bytes(data)
    print(f"{len(kept)} messages, {len(kinds)} kinds, {len(data):,} bytes")


def read(folder: Path) -> Package:
    proto = (folder / "generated.proto").read_text()
    name = re.search(r"^package ([\w.]+);", proto, re.M)
    assert name, folder
    go = "\n".join(p.read_text() for p in sorted(folder.glob("*.go")) if is_source(p))
    imports = {alias: path.replace("/", ".") for alias, path in _IMPORT.findall(go)}
    aliases = {
        new: f"{imports[where]}.{old}" for new, where, old in _ALIAS.findall(go) if where in imports
    }
    return Package(name[1], group(folder), proto, dict(_STRUCT.findall(go)), aliases)


def download(module: str) -> Path:
    command = ["go", "mod", "download", "-json", f"{module}@{VERSION}"]
    return Path(json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["Dir"])


def folders(root: Path) -> list[Path]:
    found = sorted(path.parent for path in root.rglob("generated.proto"))
    return [f for f in found if not any(part in f"{f}/" for part in LEFT_OUT)]


def is_source(path: Path) -> bool:
    return not path.name.startswith(("zz_", "generated", "types_swagger")) and not (
        path.name.endswith("_test.go")
    )


def group(folder: Path) -> str | None:
    """The API group of the kinds in this package; None where there are none."""
    register = folder / "register.go"
    found = (
        re.search(r'GroupName\s*=\s*"(.*?)"', register.read_text()) if register.exists() else None
    )
    return found[1] if found else None


def messages(package: Package) -> dict[str, Any]:
    made = {}
    for name, body in _MESSAGE.findall(package.proto):
        full = f"{package.name}.{name}"
        go = go_fields(package.structs.get(name, ""))
        fields = _PROTO_FIELD.findall(body)
        if full in SPECIAL or full == ENVELOPE or (fields and not go):
            continue  # whoever refers to the latter fails in reachable()
        rows = []
        for label, kind, _, number in fields:
            at = go.get(int(number))
            assert at, f"{full}: field {number} is not in the Go struct"
            rows.append([int(number), at.json, *typed(package.name, label, kind, at)])
        made[full] = rows
    return made


def go_fields(body: str) -> dict[int, GoField]:
    found = {}
    for _, kind, tags in _GO_FIELD.findall(body):
        number = re.search(r'protobuf:"\w+,(\d+)', tags)
        names = re.search(r'json:"([^"]*)"', tags)
        if number and names:
            name, *options = names[1].split(",")
            omitted = "omitempty" in options or "omitzero" in options
            found[int(number[1])] = GoField(name, omitted, kind.startswith("*"))
    return found


def typed(package: str, label: str, kind: str, at: GoField) -> tuple[str, str]:
    """The type and the shape of a field."""
    mapped = re.match(r"map<string, (.*)>", kind)
    assert mapped or not kind.startswith("map"), kind
    name = mapped[1] if mapped else kind
    if name not in ("string", "bytes", "bool", "int32", "int64", "double"):
        full = name.removeprefix(".") if "." in name else f"{package}.{name}"
        # A named list of strings is a message with one field, and a list in JSON.
        name = "strings" if full.endswith(".ExtraValue") else SPECIAL.get(full, full)
    if mapped:
        return name, "map"
    if label == "repeated":
        return name, "list"
    if not at.json:
        return name, "inline"
    if at.pointer or name == "bytes":
        return name, "pointer"
    return name, "omitted" if at.omitted else "value"


def named(package: Package) -> dict[str, str]:
    """'apps/v1 Deployment' → its message, for the kinds that have a schema."""
    if package.group is None:
        return {}
    version = package.name.rpartition(".")[2]
    prefix = f"{package.group}/{version}" if package.group else version
    kinds = {}
    for name, body in package.structs.items():
        if not re.search(r'^\t(?:metav1\.|v1\.)?TypeMeta\s+`json:",inline"', body, re.M):
            continue
        kinds[f"{prefix} {name}"] = f"{package.name}.{name}"
    published = {" ".join(kind) for kind in schema.kinds()}
    return {kind: name for kind, name in kinds.items() if kind in published}


def reachable(entries: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    """The messages that some kind needs. Kinds without one are forgotten."""
    for kind in [k for k, name in kinds.items() if name not in entries]:
        del kinds[kind]
    kept: dict[str, Any] = {}
    waiting = list(kinds.values())
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept[name] = entries[name]
            waiting += [row[2] for row in entries[name] if "." in row[2]]
    return kept


if __name__ == "__main__":
    main()
