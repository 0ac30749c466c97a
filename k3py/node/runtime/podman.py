"""Podman through its REST socket.

Plain REST, because the client library lacks or breaks what a node needs: pull hides the
registry's errors and overrides insecure mirrors, attach and exec with input do not exist.
Connections are few and shared; each is used by one thread at a time.
"""

import base64
import contextlib
import http.client
import signal
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from k3py.api.objects import Object
from k3py.base import clock
from k3py.node.runtime.runtime import (
    POD_UID,
    Container,
    ContainerSpec,
    Credentials,
    Image,
    Limits,
    RuntimeFailed,
    State,
    Unreachable,
    Version,
)

API = "/v4.0.0/libpod"
IDLE_CONNECTIONS = 4
# A start waits for the container's process, and a removal for the disk.
TIMEOUT_SECONDS = 120.0
PULL_TIMEOUT_SECONDS = 3600.0
_EXIT_CODE_POLLS = 200

_STATES = {
    "created": State.CREATED,
    "configured": State.CREATED,
    "initialized": State.CREATED,
    "running": State.RUNNING,
    "paused": State.RUNNING,
    "stopping": State.RUNNING,
}


class Podman:
    """The Runtime that a Podman service on a unix socket is.

    `ensure` is called when nobody listens: it starts the service, or raises Unreachable.
    """

    def __init__(self, path: Path, ensure: Callable[[], None]) -> None:
        self._path, self._ensure = path, ensure
        self._lock = threading.Lock()  # guards _idle
        self._idle: list[_Connection] = []

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    # --- images

    def version(self) -> Version:
        found = self._json("GET", "/version")
        return Version("podman", str(found["Version"]))

    def pull(self, image: str, credentials: Credentials | None = None) -> None:
        """No tlsVerify: the parameter would override what registries.conf says of a mirror."""
        headers = {"X-Registry-Auth": _registry_auth(credentials)} if credentials else {}
        query = _query(reference=image, policy="always")
        answer = self._request(
            "POST", f"/images/pull{query}", headers=headers, timeout=PULL_TIMEOUT_SECONDS
        )
        # The service answers 200 before it begins, and tells of a failure in the last line.
        for line in answer.splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                error = orjson.loads(line).get("error")
                if error:
                    raise RuntimeFailed(str(error).strip())

    def image(self, name: str) -> Image | None:
        try:
            return _image(self._json("GET", f"/images/{_quoted(name)}/json"))
        except RuntimeFailed as failed:
            if failed.code == 404:
                return None
            raise

    def images(self) -> list[Image]:
        return [_listed_image(i) for i in self._json("GET", "/images/json") or ()]

    def remove_image(self, image_id: str) -> None:
        with _gone_is_fine():
            self._request("DELETE", f"/images/{image_id}?force=true")

    # --- containers

    def create(self, spec: ContainerSpec) -> str:
        body = {**spec.body, "name": spec.name, "labels": dict(spec.labels)}
        if spec.log:
            Path(spec.log).parent.mkdir(parents=True, exist_ok=True)
            body["log_configuration"] = {"driver": "k8s-file", "path": spec.log}
        try:
            return str(self._json("POST", "/containers/create", body)["Id"])
        except RuntimeFailed as failed:
            if "already in use" in str(failed):
                raise RuntimeFailed(str(failed), 409) from failed
            raise

    def start(self, container_id: str) -> None:
        self._request("POST", f"/containers/{container_id}/start")

    def kill(self, container_id: str, signal: str) -> None:
        with _gone_is_fine(409):
            self._request("POST", f"/containers/{container_id}/kill{_query(signal=signal)}")

    def remove(self, container_id: str) -> None:
        with _gone_is_fine():
            self._request("DELETE", f"/containers/{container_id}?force=true&timeout=0&v=true")

    def inspect(self, container_id: str) -> Container | None:
        try:
            return _inspected(self._json("GET", f"/containers/{container_id}/json"))
        except RuntimeFailed as failed:
            if failed.code == 404:
                return None
            raise

    def containers(self) -> list[Container]:
        query = _query(all="true", filters=orjson.dumps({"label": [POD_UID]}).decode())
        return [_listed(c) for c in self._json("GET", f"/containers/json{query}") or ()]

    def update(self, container_id: str, limits: Limits) -> None:
        cpu: dict[str, int] = {}
        if limits.cpu_shares is not None:
            cpu["shares"] = limits.cpu_shares
        if limits.cpu_quota is not None:
            cpu |= {"quota": limits.cpu_quota, "period": limits.cpu_period}
        body: dict[str, Any] = {"cpu": cpu} if cpu else {}
        if limits.memory is not None:
            body["memory"] = {"limit": limits.memory}
        self._request("POST", f"/containers/{container_id}/update", body)

    def disk_usage(self) -> Mapping[str, int]:
        query = _query(all="true", size="true", filters=orjson.dumps({"label": [POD_UID]}).decode())
        found = self._json("GET", f"/containers/json{query}") or ()
        return {c["Id"]: int((c.get("Size") or {}).get("rwSize", 0)) for c in found}

    # --- streams

    def execute(
        self,
        container_id: str,
        argv: list[str],
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tty: bool = False,
    ) -> "ExecSession":
        body = {
            "AttachStdin": stdin,
            "AttachStdout": stdout,
            "AttachStderr": stderr,
            "Tty": tty,
            "Cmd": argv,
            # Without this a terminal would swallow ctrl-p ctrl-q.
            "DetachKeys": "",
        }
        session = str(self._json("POST", f"/containers/{container_id}/exec", body)["Id"])
        stream, first = self._hijack(f"/exec/{session}/start", {"Detach": False, "Tty": tty})
        return ExecSession(self, f"/exec/{session}", stream, first)

    def attach(
        self, container_id: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> "ExecSession":
        # No body: it would land in the container's standard input.
        query = _query(
            stream="true", stdin=_flag(stdin), stdout=_flag(stdout), stderr=_flag(stderr)
        )
        stream, first = self._hijack(f"/containers/{container_id}/attach{query}", None)
        return ExecSession(self, f"/containers/{container_id}", stream, first)

    def _hijack(self, path: str, body: Object | None) -> tuple[socket.socket, bytes]:
        """A connection that has stopped being HTTP, and what already came through it."""
        content = b"" if body is None else orjson.dumps(body)
        head = (
            f"POST {API}{path} HTTP/1.1\r\nHost: podman\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        stream = self._dial()
        stream.settimeout(TIMEOUT_SECONDS)
        try:
            stream.sendall(head.encode() + content)
            received = b""
            while b"\r\n\r\n" not in received:
                chunk = stream.recv(65536)
                if not chunk:
                    raise Unreachable("the container engine closed the connection")
                received += chunk
            status, _, rest = received.partition(b"\r\n\r\n")
            code = int(status.split(b" ", 2)[1])
            if code not in (101, 200):
                raise RuntimeFailed(_message(_rest_of_body(stream, rest)), code)
        except BaseException:
            stream.close()
            raise
        stream.settimeout(None)
        return stream, rest

    # --- HTTP

    def _json(self, method: str, path: str, body: Object | None = None) -> Any:
        answer = self._request(method, path, body)
        return orjson.loads(answer) if answer.strip() else None

    def _request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> bytes:
        content = None if body is None else orjson.dumps(body)
        fields = {"Content-Type": "application/json", **(headers or {})}
        connection = self._take()
        try:
            code, answer = connection.ask(method, API + path, content, fields, timeout)
        except (OSError, http.client.HTTPException) as broken:
            connection.close()
            raise Unreachable(f"the container engine does not answer: {broken!r}") from broken
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        if code >= 400:
            raise RuntimeFailed(_message(answer), code)
        return answer

    def _take(self) -> "_Connection":
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_alive():
                    return connection
                connection.close()
        return _Connection(self._dial())

    def _give_back(self, connection: "_Connection") -> None:
        with self._lock:
            if len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _dial(self) -> socket.socket:
        try:
            return _connect(self._path)
        except OSError:
            self._ensure()
        try:
            return _connect(self._path)
        except OSError as refused:
            raise Unreachable(f"the container engine does not listen: {refused}") from refused


class ExecSession:
    """The Session of an exec or an attach: see runtime.Session."""

    def __init__(self, podman: Podman, path: str, stream: socket.socket, first: bytes) -> None:
        self._podman, self._path = podman, path
        self.stream, self.first = stream, first

    def resize(self, *, width: int, height: int) -> None:
        # Podman refuses until the process runs; the size then arrives a moment later.
        for last in (False,) * 19 + (True,):
            try:
                self._podman._request("POST", f"{self._path}/resize{_query(h=height, w=width)}")
                return
            except RuntimeFailed:
                if last:
                    raise
                clock.sleep(0.02)

    def exit_code(self) -> int:
        for _ in range(_EXIT_CODE_POLLS):
            found = self._podman._json("GET", f"{self._path}/json")
            if not found.get("Running"):
                return int(found.get("ExitCode") or 0)
            clock.sleep(0.02)
        raise Unreachable("the container engine does not say how the command ended")

    def close(self) -> None:
        self.stream.close()


class _Connection:
    """One HTTP connection over the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._http = http.client.HTTPConnection("podman")
        self._http.sock = sock

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        self._http.sock.settimeout(timeout)
        self._http.request(method, path, body, dict(headers))
        answer = self._http.getresponse()
        content = answer.read()
        if answer.will_close:
            self._http.close()
        return answer.status, content

    def is_alive(self) -> bool:
        """Whether the service still holds the other end: it has nothing to say between answers."""
        if self._http.sock is None:
            return False
        self._http.sock.settimeout(0)
        try:
            self._http.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        self._http.close()


def _connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def _rest_of_body(stream: socket.socket, first: bytes) -> bytes:
    """The body of a refusal. Its connection is closed afterwards, so one second is enough."""
    stream.settimeout(1)
    body = first
    with contextlib.suppress(OSError):
        while chunk := stream.recv(65536):
            body += chunk
            if body.rstrip().endswith(b"}"):
                break
    return body


def _message(answer: bytes) -> str:
    try:
        return str(orjson.loads(answer)["message"]).strip()
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return answer.decode(errors="replace").strip() or "the container engine gave no reason"


@contextlib.contextmanager
def _gone_is_fine(*more: int) -> Iterator[None]:
    try:
        yield
    except RuntimeFailed as failed:
        if failed.code not in (404, *more):
            raise


def _query(**parameters: object) -> str:
    return "?" + urllib.parse.urlencode(parameters)


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="/:@")


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _registry_auth(credentials: Credentials) -> str:
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.token,
    }
    return base64.urlsafe_b64encode(orjson.dumps({k: v for k, v in fields.items() if v})).decode()


def _inspected(found: Object) -> Container:
    state = found["State"]
    return Container(
        id=found["Id"],
        labels=found["Config"].get("Labels") or {},
        state=_STATES.get(state["Status"], State.EXITED),
        image=found.get("ImageName", ""),
        image_id=found.get("Image", ""),
        created=_time(found.get("Created")),
        started=_time(state.get("StartedAt")),
        finished=_time(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0),
        pid=int(state.get("Pid") or 0),
        monitor=int(state.get("ConmonPid") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        stop_signal=_signal(found["Config"].get("StopSignal")),
    )


def _listed(found: Object) -> Container:
    return Container(
        id=found["Id"],
        labels=found.get("Labels") or {},
        state=_STATES.get(found["State"], State.EXITED),
        image=found.get("Image", ""),
        image_id=found.get("ImageID", ""),
        created=_time(found.get("Created")),
        started=_seconds(found.get("StartedAt")),
        finished=_seconds(found.get("ExitedAt")),
        exit_code=int(found.get("ExitCode") or 0),
        pid=int(found.get("Pid") or 0),
    )


def _image(found: Object) -> Image:
    config = found.get("Config") or {}
    digests = found.get("RepoDigests") or ()
    return Image(
        id=found["Id"],
        reference=digests[0] if digests else f"sha256:{found['Id']}",
        names=(*(found.get("RepoTags") or ()), *digests),
        size=int(found.get("Size") or 0),
        user=found.get("User") or config.get("User") or "",
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        created=_time(found.get("Created")),
    )


def _listed_image(found: Object) -> Image:
    digests = found.get("RepoDigests") or ()
    return Image(
        id=found["Id"],
        reference=digests[0] if digests else f"sha256:{found['Id']}",
        names=(*(found.get("RepoTags") or found.get("Names") or ()), *digests),
        size=int(found.get("Size") or 0),
        created=_seconds(found.get("Created")),
    )


def _signal(said: Any) -> str:
    """Podman 4 says a number, Podman 5 a name."""
    if isinstance(said, str) and said and not said.isdigit():
        return said
    try:
        return signal.Signals(int(said)).name
    except (TypeError, ValueError):
        return "SIGTERM"


def _time(text: str | None) -> datetime | None:
    """Podman's time: nanoseconds, any zone; the year 1 where there is none."""
    if not text or text.startswith("0001-"):
        return None
    whole, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text).astimezone(UTC)
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction, zone = rest[:digits][:6].ljust(6, "0"), rest[digits:]
    return datetime.fromisoformat(f"{whole}.{fraction}{zone}").astimezone(UTC)


def _seconds(count: Any) -> datetime | None:
    if not isinstance(count, int) or count <= 0:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=count)
