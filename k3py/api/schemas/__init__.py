"""Generated tables: archives of JSON entries, each read without unpacking the others.

    4 bytes, big-endian   the length of the index
    the index             {name: [offset, length]}, JSON, zlib
    the entries           JSON, zlib, primed with PRIMER; offsets count from the first

`build/` writes them, from published packages; nothing here is edited by hand.
"""

import importlib.resources
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

# What most entries have in common: small texts compress a third better with it.
PRIMER = (
    b'{"type":"object","properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},'
    b'"metadata":{"ref":"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},'
    b'"spec":{"ref":"io.k8s.api.core.v1."},"status":{"ref":"io.k8s.api.core.v1."},'
    b'"type":"integer","format":"int32","type":"integer","format":"int64","type":"boolean",'
    b'"type":"array","items":{"ref":"io.k8s.api.resource.v1."},"list_type":"atomic"},'
    b'"list_type":"map","list_map_keys":["type"],"patch_strategy":"merge","merge_key":"name",'
    b'"values":{"type":"string"}},"required":["name"],"type":"string"}}'
)


class Archive:
    """The entries of one table. Holds the file's bytes, and nothing unpacked but the index."""

    def __init__(self, name: str) -> None:
        self._bytes = (importlib.resources.files(__name__) / name).read_bytes()
        size = int.from_bytes(self._bytes[:4], "big")
        self._start = 4 + size
        self._index: dict[str, list[int]] = json.loads(zlib.decompress(self._bytes[4 : 4 + size]))

    def get(self, name: str) -> Any:
        """The entry `name`, a new copy at every call; None where there is none."""
        where = self._index.get(name)
        if where is None:
            return None
        start = self._start + where[0]
        unpack = zlib.decompressobj(zdict=PRIMER)
        return json.loads(unpack.decompress(self._bytes[start : start + where[1]]))

    def names(self) -> Iterable[str]:
        return self._index.keys()


def pack(entries: Mapping[str, Any]) -> bytes:
    """The bytes of an archive: the same entries always give the same bytes."""
    index: dict[str, list[int]] = {}
    packed = bytearray()
    for name, entry in sorted(entries.items()):
        deflate = zlib.compressobj(9, zdict=PRIMER)
        blob = deflate.compress(_json(entry)) + deflate.flush()
        index[name] = [len(packed), len(blob)]
        packed += blob
    head = zlib.compress(_json(index), 9)
    return len(head).to_bytes(4, "big") + head + bytes(packed)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
