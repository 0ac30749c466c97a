"""ConfigMaps: settings, as keys and values."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import keyvalues
from k3py.kinds import problems as wrong


class ConfigMapKind(Kind):
    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        text: Mapping[str, Any] = obj.get("data") or {}
        binary: Mapping[str, Any] = obj.get("binaryData") or {}
        for field, found in (("data", text), ("binaryData", binary)):
            yield from keyvalues.key_problems(field, found)
        for key in text.keys() & binary.keys():
            yield wrong.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        yield from keyvalues.base64_problems("binaryData", binary)
        size = sum(len(v.encode()) for v in text.values()) + keyvalues.decoded_size(binary)
        if size > keyvalues.MOST_BYTES:
            yield wrong.too_long("", keyvalues.MOST_BYTES)
        yield from keyvalues.immutable_problems(obj, old, ("data", "binaryData"))


CONFIG_MAP = ConfigMapKind(
    "v1",
    "ConfigMap",
    "configmaps",
    short_names=("cm",),
    columns=(
        Column("Data", lambda cm: len(cm.get("data") or {}) + len(cm.get("binaryData") or {})),
        AGE,
    ),
)
