"""The registry that stands in for the public ones: Debian's docker-registry, run by us."""

import contextlib
import http.client
import json
import re
import socket
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from k3py.base import clock, commands, files
from k3py.lab import disk, images
from k3py.lab.cgroups import Cgroup

START_SECONDS = 20.0
DEFAULT_REGISTRY = "docker.io"


class RegistryFailed(Exception):
    """The registry did not start, or refused what was pushed."""


class BadName(Exception):
    """A name under which no image can be pushed."""


@dataclass(frozen=True)
class Name:
    """docker.io/library/busybox:1.36 in parts; `repository` as the lab's registry has it."""

    repository: str
    tag: str


def parse(text: str) -> Name:
    """`busybox:1.36` and `docker.io/library/busybox:1.36` are the same. Raises BadName."""
    rest, _, tag = text.rpartition(":")
    if not rest or "/" in tag:
        rest, tag = text, "latest"
    registry, _, path = rest.partition("/")
    if not path or not any(c in registry for c in ".:"):
        registry, path = DEFAULT_REGISTRY, rest
    if registry not in disk.REGISTRIES:
        raise BadName(
            f"{registry} is no registry that the lab stands in for: {', '.join(disk.REGISTRIES)}"
        )
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    if not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", path):
        raise BadName(f"{path!r} is no image name: lower-case letters, digits, . _ - and /")
    if not re.fullmatch(r"\w[\w.-]{0,127}", tag):
        raise BadName(f"{tag!r} is no tag: letters, digits, . _ and -")
    return Name(f"{registry}/{path}", tag)


@dataclass(frozen=True)
class Registry:
    """`address`: HOST:PORT it listens on. It lives in a cgroup, by which it is found again."""

    address: str
    folder: Path
    cgroup: Cgroup

    @property
    def host(self) -> tuple[str, int]:
        name, _, port = self.address.rpartition(":")
        return name, int(port)

    def start(self) -> None:
        """Returns when it answers; fine when it runs already. Raises RegistryFailed."""
        if self.answers():
            return
        self.stop()
        self.cgroup.make()
        config = self.folder / "config.json"
        files.write(config, json.dumps(self._settings()), durable=False)
        doors = " ".join(f"'{door}'" for door in self.cgroup.doors())
        join = f'for door in {doors}; do echo 0 > "$door/cgroup.procs"; done; exec "$@"'
        with (self.folder / "log").open("wb") as log:
            commands.start(
                *("/bin/sh", "-c", join, "registry"),
                *("setsid", "--fork", "docker-registry", "serve", str(config)),
                output=log.fileno(),
            ).wait()
        deadline = clock.SYSTEM.monotonic() + START_SECONDS
        while not self.answers():
            if self.cgroup.is_empty() or clock.SYSTEM.monotonic() > deadline:
                shown = (self.folder / "log").read_text(errors="replace")[-1000:]
                raise RegistryFailed(f"the registry does not answer on {self.address}: {shown}")
            clock.sleep(0.02)

    def stop(self) -> None:
        self.cgroup.remove()

    def answers(self) -> bool:
        try:
            with socket.create_connection(self.host, timeout=1):
                return True
        except OSError:
            return False

    def push(self, image: images.Image, name: str) -> None:
        """Put an image under a public name, such as docker.io/library/busybox:1.36.

        Raises BadName, RegistryFailed.
        """
        target = parse(name)
        base = f"/v2/{target.repository}"
        for blob in image.blobs:
            self._push_blob(base, blob)
        for manifest in image.manifests:
            last = manifest is image.manifests[-1]
            self._ask(
                "PUT",
                f"{base}/manifests/{target.tag if last else manifest.digest}",
                manifest.content,
                {"Content-Type": manifest.media_type},
            )

    def _push_blob(self, base: str, blob: images.Blob) -> None:
        status, _ = self._send("HEAD", f"{base}/blobs/{blob.digest}")
        if status == http.client.OK:
            return
        headers = self._ask("POST", f"{base}/blobs/uploads/", b"", {})
        where = urllib.parse.urlsplit(headers["Location"])
        query = f"{where.query}&" if where.query else ""
        with blob.open() as content:
            self._ask(
                "PUT",
                f"{where.path}?{query}digest={blob.digest}",
                content,
                {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)},
            )

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> dict[str, str]:
        status, answer = self._send(method, path, body, headers)
        if status >= http.client.BAD_REQUEST:
            raise RegistryFailed(f"{method} {path}: {status}: {answer.get('', '')}")
        return answer

    def _send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        """The status and the headers; the start of the answer's body under ""."""
        connection = http.client.HTTPConnection(*self.host, timeout=60)
        try:
            connection.request(method, path, body, headers or {})  # type: ignore[arg-type]
            response = connection.getresponse()
            text = response.read(2000).decode(errors="replace")
            return response.status, {**dict(response.getheaders()), "": text}
        except OSError as error:
            raise RegistryFailed(f"the registry on {self.address}: {error}") from error
        finally:
            connection.close()

    def _settings(self) -> dict[str, object]:
        return {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }


def free_port(host: str, first: int = 5000) -> int:
    """The first port of `host` from `first` on which nobody listens: others like 5000, too."""
    for port in range(first, first + 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise RegistryFailed(f"ports {first} to {first + 99} of {host} are all taken")
