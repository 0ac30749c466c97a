"""One look at a container, or one action in it: by command, HTTP request or connection.

Shared by probes and lifecycle hooks. Rules: Kubernetes, "Configure Liveness, Readiness and
Startup Probes" and "Container Lifecycle Hooks".
"""

import http.client
import select
import socket
import ssl
import struct
from urllib.parse import urlsplit

from k3py.api.objects import Object
from k3py.base.clock import SYSTEM
from k3py.node.runtime.runtime import Runtime, RuntimeFailed

_LONGEST = 10 << 10
_REDIRECTS = 10


class CheckFailed(Exception):
    """It did not succeed; the message says how, in Kubernetes' words."""


def named_port(container: Object, port: int | str) -> int:
    """The number of a port given by number or name. Raises CheckFailed."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if str(port).isdigit():
        return int(port)
    raise CheckFailed(f"couldn't find port: {port} in container {container['name']}")


def tcp(host: str, port: int, seconds: float) -> None:
    """Whether a connection is accepted. Raises CheckFailed."""
    try:
        socket.create_connection((host, port), seconds).close()
    except OSError as failed:
        raise CheckFailed(f"dial tcp {host}:{port}: {_why(failed)}") from failed


def http_get(action: Object, container: Object, address: str, seconds: float) -> None:
    """Whether a GET is answered with 200 to 399. Raises CheckFailed."""
    host = action.get("host") or address
    port = named_port(container, action["port"])
    secure = action.get("scheme", "HTTP") == "HTTPS"
    path = "/" + action.get("path", "/").lstrip("/")
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {h["name"]: h["value"] for h in action.get("httpHeaders") or ()}
    url = f"{'https' if secure else 'http'}://{host}:{port}{path}"
    deadline = SYSTEM.monotonic() + seconds
    for _ in range(_REDIRECTS):
        status, location = _request(host, port, secure, path, headers, deadline, url)
        if status in (301, 302, 303, 307, 308) and location:
            parts = urlsplit(location)
            if parts.hostname not in (None, host):
                return  # elsewhere: reaching the container was what counts
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            continue
        if not 200 <= status < 400:
            raise CheckFailed(f"HTTP probe failed with statuscode: {status}")
        return
    raise CheckFailed(f'Get "{url}": stopped after {_REDIRECTS} redirects')


def execute(runtime: Runtime, container_id: str, argv: list[str], seconds: float) -> None:
    """Whether a command in the container ends with 0 in time. Raises CheckFailed."""
    deadline = SYSTEM.monotonic() + seconds
    try:
        session = runtime.execute(container_id, argv)
    except RuntimeFailed as failed:
        raise CheckFailed(str(failed)) from failed
    try:
        output = bytearray(session.first)
        while True:
            left = deadline - SYSTEM.monotonic()
            if left <= 0 or not select.select([session.stream], [], [], left)[0]:
                command = " ".join(argv)
                raise CheckFailed(f"command timed out: {command!r} timed out after {seconds:g}s")
            chunk = session.stream.recv(65536)
            if not chunk:
                break
            if len(output) < _LONGEST:
                output += chunk
        if code := session.exit_code():
            raise CheckFailed(_plain(output).strip() or f"exit status {code}")
    except (OSError, RuntimeFailed) as failed:
        raise CheckFailed(str(failed)) from failed
    finally:
        session.close()


def _request(
    host: str,
    port: int,
    secure: bool,
    path: str,
    headers: dict[str, str],
    deadline: float,
    url: str,
) -> tuple[int, str]:
    left = max(0.001, deadline - SYSTEM.monotonic())
    connection: http.client.HTTPConnection
    if secure:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=left, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=left)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read(_LONGEST)
        return answer.status, answer.getheader("Location", "")
    except (OSError, http.client.HTTPException, ValueError) as failed:
        raise CheckFailed(f'Get "{url}": {_why(failed)}') from failed
    finally:
        connection.close()


def _plain(frames: bytearray) -> str:
    """The text in the runtime's frames: see runtime.Session."""
    text, offset = bytearray(), 0
    while offset + 8 <= len(frames):
        (length,) = struct.unpack_from(">4xI", frames, offset)
        text += frames[offset + 8 : offset + 8 + length]
        offset += 8 + length
    return text.decode(errors="replace")


def _why(failed: Exception) -> str:
    if isinstance(failed, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(failed, ConnectionRefusedError):
        return "connect: connection refused"
    return str(failed)
