"""Proxies: HTTP to a pod, to a Service's pods, or to a node, for who cannot reach them."""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flask

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.objects import Key, Object
from k3py.api.wellknown import SERVICE_NAME
from k3py.apiserver.reading import Reader
from k3py.apiserver.request import Request
from k3py.apiserver.subresources.kubelets import CONNECT_SECONDS, Kubelets
from k3py.apiserver.subresources.relays import relay


class Proxies:
    """`connects` is what the web calls, by plural and subresource."""

    def __init__(self, reader: Reader, kubelets: Kubelets) -> None:
        self._reader, self._kubelets = reader, kubelets

    def connects(self) -> Mapping[tuple[str, str], Callable[[Request, flask.Request], Any]]:
        return {
            ("pods", "proxy"): self.pod,
            ("nodes", "proxy"): self.node,
            ("services", "proxy"): self.service,
        }

    def pod(self, request: Request, http: flask.Request) -> flask.Response:
        scheme, name, port = _target_name(request.name)
        pod = self._reader.get(kinds.POD, Key(request.namespace, name))
        if pod is None:
            raise errors.not_found(kinds.POD, name)
        address = pod.get("status", {}).get("podIP")
        if not address:
            raise errors.ServiceUnavailable(f'pod "{name}" has no address yet')
        number = _port_number(port, _pod_ports(pod)) if port else _first_port(pod)
        return self._ask_address(scheme, address, number, request, http)

    def service(self, request: Request, http: flask.Request) -> flask.Response:
        scheme, name, port = _target_name(request.name)
        service = self._reader.get(kinds.SERVICE, Key(request.namespace, name))
        if service is None:
            raise errors.not_found(kinds.SERVICE, name)
        found = next(iter(self._backends(request.namespace, service, port)), None)
        if found is None:
            raise errors.ServiceUnavailable(f'no endpoints available for service "{request.name}"')
        return self._ask_address(scheme, found[0], found[1], request, http)

    def node(self, request: Request, http: flask.Request) -> flask.Response:
        name = _target_name(request.name)[1]
        path = _with_raw_query("/" + request.tail, http)
        connection, host = self._kubelets.connect(name)
        return relay(http, connection, path, host)

    def _backends(self, namespace: str, service: Object, port: str) -> Iterator[tuple[str, int]]:
        ports = service["spec"].get("ports") or []
        wanted = next(
            (p for p in ports if not port or port in (p.get("name"), str(p["port"]))), None
        )
        if wanted is None:
            return
        name = service["metadata"]["name"]
        slices = self._reader.holding(kinds.ENDPOINT_SLICE, namespace, f'"{name}"'.encode())
        for found in slices:
            if meta.labels(found).get(SERVICE_NAME) != name:
                continue
            number = next(
                (
                    p["port"]
                    for p in found.get("ports") or ()
                    if p.get("name", "") == wanted.get("name", "")
                ),
                None,
            )
            for endpoint in found.get("endpoints") or ():
                if number and (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint["addresses"][0], number

    def _ask_address(
        self, scheme: str, address: str, port: int, request: Request, http: flask.Request
    ) -> flask.Response:
        if _is_our_own(address):
            raise errors.Forbidden(f"address not allowed: {address}")
        try:
            connection: Any = socket.create_connection((address, port), CONNECT_SECONDS)
            if scheme == "https":
                # As upstream: a pod's own certificate proves nothing to us.
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = context.wrap_socket(connection, server_hostname=address)
            connection.settimeout(None)
        except OSError as failed:
            raise errors.ServiceUnavailable(
                f"error trying to reach service: dial tcp {address}:{port}: {failed}"
            ) from failed
        return relay(
            http, connection, _with_raw_query("/" + request.tail, http), f"{address}:{port}"
        )


def _is_our_own(address: str) -> bool:
    """Whether an address means this machine or its own link, where no pod is to be found."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    return found.is_loopback or found.is_link_local or found.is_unspecified


def _target_name(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of a proxy target: web, web:80, https:web:443."""
    parts = name.split(":")
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0] or "http", parts[1], parts[2]
    if len(parts) <= 2:
        return "http", parts[0], parts[1] if len(parts) == 2 else ""
    raise errors.BadRequest(f'invalid request "{name}"')


def _pod_ports(pod: Object) -> dict[str, int]:
    return {
        p["name"]: p["containerPort"]
        for c in pod["spec"]["containers"]
        for p in c.get("ports") or ()
        if p.get("name")
    }


def _first_port(pod: Object) -> int:
    ports = (p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or ())
    return next(ports, 80)


def _port_number(port: str, named: Mapping[str, int]) -> int:
    if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return int(port)
    if port in named:
        return named[port]
    raise errors.BadRequest(f'"{port}" is no port of it')


def _with_raw_query(path: str, http: flask.Request) -> str:
    query = http.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path
