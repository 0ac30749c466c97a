"""Connections to the nodes' own servers, port 10250."""

import socket
import ssl
from pathlib import Path
from typing import Any

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key, Object
from k3py.apiserver.reading import Reader
from k3py.base import tls

CONNECT_SECONDS = 10
_KUBELET_PORT = 10250


class Kubelets:
    """Connections to the nodes' own servers."""

    def __init__(self, reader: Reader, ca: Path, certificate: Path, key: Path) -> None:
        self._reader = reader
        context = ssl.create_default_context(cafile=str(ca))
        self._identity = tls.Identity(context, certificate, key)

    def connect(self, node_name: str) -> tuple[Any, str]:
        """A connection to a node, and its host name for requests. Raises ServiceUnavailable."""
        node = self._reader.get(kinds.NODE, Key("", node_name))
        if node is None:
            raise errors.not_found(kinds.NODE, node_name)
        address, port = _address(node)
        try:
            plain = socket.create_connection((address, port), CONNECT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped = self._identity.current().wrap_socket(plain, server_hostname=address)
        except OSError as failed:
            raise errors.InternalError(
                f'error dialing backend: node "{node_name}" at {address}:{port}: {failed}'
            ) from failed
        wrapped.settimeout(None)
        return wrapped, f"{address}:{port}"


def _address(node: Object) -> tuple[str, int]:
    status = node.get("status") or {}
    found = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    address = found.get("InternalIP") or found.get("ExternalIP") or found.get("Hostname")
    if not address:
        name = node["metadata"]["name"]
        raise errors.ServiceUnavailable(f'node "{name}" has no address yet')
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    return address, port or _KUBELET_PORT
