"""Container images as blobs and a manifest: read from archives, or built from files at hand."""

import contextlib
import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}


class BadArchive(Exception):
    """A file is neither a docker-archive nor an OCI archive, or is one with parts missing."""


@dataclass(frozen=True)
class Blob:
    digest: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Manifest:
    """`content` as it is to be stored, byte for byte: its digest is the image's name."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return _digest(self.content)


@dataclass(frozen=True)
class Image:
    """`manifests`: the image's own last, those it is made of before it."""

    manifests: tuple[Manifest, ...]
    blobs: tuple[Blob, ...]


class Layer:
    """A tar of files, added one by one; no path may come twice."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._names: set[str] = set()

    def folder(self, name: str, mode: int = 0o755) -> None:
        """A folder, and those above it; fine when it is there already."""
        path = Path(name)
        for part in (*reversed(path.parents), path):
            if part.name and str(part) not in self._names:
                self._add(str(part), tarfile.DIRTYPE, mode if part == path else 0o755)

    def file(self, name: str, content: bytes | str | Path, mode: int = 0o644) -> None:
        """`content`: the bytes, or a file of this machine that has them."""
        if isinstance(content, Path):
            content = content.read_bytes()
        data = content.encode() if isinstance(content, str) else content
        self.folder(str(Path(name).parent))
        self._add(name, tarfile.REGTYPE, mode, data=data)

    def link(self, name: str, target: str) -> None:
        self.folder(str(Path(name).parent))
        self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def _add(
        self, name: str, kind: bytes, mode: int, *, data: bytes = b"", target: str = ""
    ) -> None:
        if name in self._names:
            raise ValueError(f"{name} is in the layer already")
        self._names.add(name)
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.linkname = kind, mode, len(data), target
        self._tar.addfile(info, io.BytesIO(data))

    def content(self) -> bytes:
        """The finished, uncompressed tar."""
        self._tar.close()
        return self._buffer.getvalue()


def build(layers: Sequence[bytes], settings: Mapping[str, Any]) -> Image:
    """An image of uncompressed tars, the lowest first. `settings`: Env, Cmd, Entrypoint …"""
    packed = [gzip.compress(layer, 1, mtime=0) for layer in layers]
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
    }
    blobs = [_memory_blob(layer) for layer in packed]
    return _image(_memory_blob(json.dumps(config).encode()), blobs)


@contextlib.contextmanager
def read(path: Path) -> Iterator[Image]:
    """The image in an archive, as `docker save`, `podman save` or `skopeo` write it.

    Its blobs can be opened inside the `with`. Raises BadArchive.
    """
    with tempfile.TemporaryDirectory(prefix="k3py-image-") as spool:
        try:
            with tarfile.open(path) as tar:
                yield _read(_Archive(tar), Path(spool))
        except (tarfile.TarError, json.JSONDecodeError, KeyError, IndexError) as error:
            raise BadArchive(f"{path} is no docker-archive and no OCI archive: {error}") from error


class _Archive:
    """The files in a tar, by name; older docker archives link equal layers to each other."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {member.name.removeprefix("./"): member for member in tar}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        if name not in self._members:
            raise KeyError(f"it has no {name}")
        file = self._tar.extractfile(self._members[name])
        if file is None:
            raise KeyError(f"{name} in it is no file")
        return file

    def json(self, name: str) -> Any:
        with self.open(name) as file:
            return json.load(file)


def _read(archive: _Archive, spool: Path) -> Image:
    if "manifest.json" in archive:
        return _docker(archive, spool)
    if "index.json" in archive:
        return _oci(archive)
    raise KeyError("it has neither manifest.json nor index.json")


def _docker(archive: _Archive, spool: Path) -> Image:
    listed = archive.json("manifest.json")[0]
    with archive.open(listed["Config"]) as file:
        config = _memory_blob(file.read())
    layers = [_packed(archive, name, spool) for name in listed["Layers"]]
    return _image(config, layers)


def _packed(archive: _Archive, name: str, spool: Path) -> Blob:
    """A layer of the archive, compressed if it is not."""
    target = spool / hashlib.sha256(name.encode()).hexdigest()
    with archive.open(name) as source, target.open("wb") as file:
        compressed = source.read(2) == b"\x1f\x8b"
        source.seek(0)
        if compressed:
            shutil.copyfileobj(source, file, 1 << 20)
        else:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as packing:
                shutil.copyfileobj(source, packing, 1 << 20)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(f"sha256:{digest}", target.stat().st_size, lambda: target.open("rb"))


def _oci(archive: _Archive) -> Image:
    manifests: list[Manifest] = []
    blobs: dict[str, Blob] = {}
    _follow(archive, archive.json("index.json")["manifests"][0], manifests, blobs)
    return Image(tuple(manifests), tuple(blobs.values()))


def _follow(
    archive: _Archive, entry: Any, manifests: list[Manifest], blobs: dict[str, Blob]
) -> None:
    """Collect what an index entry stands for, parts before wholes."""
    name = _blob_name(entry["digest"])
    with archive.open(name) as file:
        content = file.read()
    parsed = json.loads(content)
    if entry["mediaType"] in (OCI_INDEX, DOCKER_INDEX):
        # An archive of one platform may keep the index of all; a registry wants what it names.
        present = [e for e in parsed["manifests"] if _blob_name(e["digest"]) in archive]
        if len(present) < len(parsed["manifests"]):
            _follow(archive, present[0], manifests, blobs)
            return
        for part in present:
            _follow(archive, part, manifests, blobs)
    else:
        for part in (parsed["config"], *parsed["layers"]):
            blobs[part["digest"]] = _archive_blob(archive, part)
    manifests.append(Manifest(entry["mediaType"], content))


def _archive_blob(archive: _Archive, entry: Any) -> Blob:
    name = _blob_name(entry["digest"])
    archive.open(name).close()
    return Blob(entry["digest"], entry["size"], lambda: archive.open(name))


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _image(config: Blob, layers: Sequence[Blob]) -> Image:
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": OCI_LAYER, "digest": b.digest, "size": b.size} for b in layers],
    }
    content = json.dumps(manifest).encode()
    return Image((Manifest(OCI_MANIFEST, content),), (config, *layers))


def _memory_blob(content: bytes) -> Blob:
    return Blob(_digest(content), len(content), lambda: io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
