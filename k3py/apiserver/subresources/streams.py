"""Streams to containers: log, exec, attach and port-forward, as raw bytes.

    client ⇄ (upgrade, TLS) ⇄ here ⇄ (the same upgrade, TLS) ⇄ the node's port 10250

The request goes on with its path rewritten; the frames inside, WebSocket or SPDY, are the
business of the client and the node alone.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import flask

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Object
from k3py.api.wellknown import DEFAULT_CONTAINER
from k3py.apiserver.reading import Reader
from k3py.apiserver.request import Request
from k3py.apiserver.subresources.kubelets import Kubelets
from k3py.apiserver.subresources.relays import relay

_LOG_OPTIONS = (
    "follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "previous", "limitBytes",
    "stream",
)  # fmt: skip
_STREAM_OPTIONS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_TRUE = ("1", "true", "True")


class Streams:
    """`connects` is what the web calls, by plural and subresource."""

    def __init__(self, reader: Reader, kubelets: Kubelets) -> None:
        self._reader, self._kubelets = reader, kubelets

    def connects(self) -> Mapping[tuple[str, str], Callable[[Request, flask.Request], Any]]:
        return {
            ("pods", "log"): self.log,
            ("pods", "exec"): self.execute,
            ("pods", "attach"): self.execute,
            ("pods", "portforward"): self.forward,
        }

    def log(self, request: Request, http: flask.Request) -> flask.Response:
        if http.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed("a log is only read")
        pod = self._pod(request)
        container = _container(pod, http.args.get("container", ""), started=False)
        query = {k: http.args[k] for k in _LOG_OPTIONS if k in http.args}
        path = f"/containerLogs/{request.namespace}/{request.name}/{container}"
        return self._ask_node(pod, http, _with_query(path, query))

    def execute(self, request: Request, http: flask.Request) -> flask.Response:
        pod = self._pod(request)
        container = _container(pod, http.args.get("container", ""), started=True)
        query = [("command", part) for part in http.args.getlist("command")]
        for option, name in _STREAM_OPTIONS.items():
            if http.args.get(option, "") in _TRUE:
                query.append((name, "1"))
        if request.subresource == "exec" and not http.args.getlist("command"):
            raise errors.BadRequest("you must specify at least 1 command for the container")
        path = f"/{request.subresource}/{request.namespace}/{request.name}/{container}"
        return self._upgrade_at_node(pod, http, f"{path}?{urlencode(query)}")

    def forward(self, request: Request, http: flask.Request) -> flask.Response:
        pod = self._pod(request)
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            raise errors.BadRequest(
                f"unable to forward port because pod is not running. Current status="
                f"{pod['status']['phase']}"
            )
        query = [("port", port) for port in http.args.getlist("ports")]
        path = f"/portForward/{request.namespace}/{request.name}"
        return self._upgrade_at_node(pod, http, f"{path}?{urlencode(query)}" if query else path)

    def _pod(self, request: Request) -> Object:
        pod = self._reader.get(kinds.POD, request.key)
        if pod is None:
            raise errors.not_found(kinds.POD, request.name)
        if not pod["spec"].get("nodeName"):
            raise errors.BadRequest(f"pod {request.name} does not have a host assigned")
        return pod

    def _ask_node(self, pod: Object, http: flask.Request, path: str) -> flask.Response:
        connection, host = self._kubelets.connect(pod["spec"]["nodeName"])
        return relay(http, connection, path, host)

    def _upgrade_at_node(self, pod: Object, http: flask.Request, path: str) -> flask.Response:
        if not http.environ.get("k3py.upgrade"):
            raise errors.BadRequest("Upgrade request required")
        return self._ask_node(pod, http, path)


def _container(pod: Object, name: str, *, started: bool) -> str:
    """The container that is meant. Raises BadRequest when that is not clear."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    main = [c["name"] for c in spec["containers"]]
    fields = ("initContainers", "ephemeralContainers")
    others = [c["name"] for field in fields for c in spec.get(field) or ()]
    if name:
        if name in main or name in others:
            return name
        raise errors.BadRequest(f"container {name} is not valid for pod {pod_name}")
    if len(main) == 1:
        return str(main[0])
    chosen = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if started and chosen in main:
        return str(chosen)
    raise errors.BadRequest(
        f"a container name must be specified for pod {pod_name}, choose one of: "
        f"[{' '.join(main)}]"
        + (f" or one of the init containers: [{' '.join(others)}]" if others else "")
    )


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
