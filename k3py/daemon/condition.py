"""What runs on this machine and what is wrong, in plain words."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from k3py import kinds
from k3py.api import conditions, errors
from k3py.api.objects import Key, Object
from k3py.client import kubeconfig
from k3py.client.client import Client
from k3py.cluster.layout import Layout
from k3py.daemon import access, processes
from k3py.daemon.config import ServerConfig
from k3py.daemon.processes import WITHOUT_AGENT

_SECONDS = 5
# Reasons a container may wait for that are part of an ordinary start.
_STARTING = ("ContainerCreating", "PodInitializing")


class Finding(NamedTuple):
    """One sentence about one thing; `fix` says what to do when it is not `well`."""

    subject: str
    well: bool
    sentence: str
    fix: str = ""


def findings(config: ServerConfig) -> Iterator[Finding]:
    """Everything worth saying about k3py here, most fundamental first."""
    layout = Layout(data=config.data)
    server = processes.running(layout.server_pid)
    agent = processes.running(layout.agent_pid)
    is_server = _is_server(layout, config) or server is not None
    if not is_server and not agent and not (layout.agent / "cluster.json").exists():
        yield Finding("k3py", False, "has never run here", "Start it: k3py start")
        return
    if is_server:
        yield _process("server", server)
    if not (server and WITHOUT_AGENT in server.argv) and not config.disable_agent:
        yield _process("node agent", agent)
    yield from _cluster(is_server, layout, config)


def node_is_ready(config: ServerConfig) -> bool:
    """Whether this machine's own node is Ready (with disable-agent: whether the API answers)."""
    layout = Layout(data=config.data)
    try:
        client = _client(_is_server(layout, config), layout, config)
        if config.disable_agent:
            client.list(kinds.NODE, limit=1)
            return True
        node = client.get(kinds.NODE, Key("", config.name))
    except (errors.ApiError, kubeconfig.Unusable, OSError, ValueError):
        return False
    return conditions.is_true(node, "Ready")


def _is_server(layout: Layout, config: ServerConfig) -> bool:
    """A machine that was a server once may be an agent of another now."""
    return layout.datastore.exists() and not config.server


def _process(name: str, holder: processes.Running | None) -> Finding:
    if holder:
        return Finding(name, True, f"runs as process {holder.pid}, using {_megabytes(holder.pid)}")
    return Finding(name, False, "does not run", "Start it: k3py start; its log: /var/log/k3py.log")


def _cluster(is_server: bool, layout: Layout, config: ServerConfig) -> Iterator[Finding]:
    try:
        client = _client(is_server, layout, config)
        nodes = client.list(kinds.NODE).items if is_server else [_own_node(client, config)]
    except (errors.ApiError, kubeconfig.Unusable, OSError, ValueError) as failure:
        yield Finding(
            "API server",
            False,
            f"does not answer: {failure}",
            "On the server, see its log: /var/log/k3py.log, or journalctl -u k3py",
        )
        return
    yield Finding("API server", True, "answers")
    for node in nodes:
        yield _node(node)
    pods = client.list(kinds.POD, fields="" if is_server else f"spec.nodeName={config.name}").items
    yield from _pods(pods)


def _own_node(client: Client, config: ServerConfig) -> Object:
    return client.get(kinds.NODE, Key("", config.name))


def _client(is_server: bool, layout: Layout, config: ServerConfig) -> Client:
    if is_server:
        return access.connect(Path(config.write_kubeconfig), timeout=_SECONDS).client
    kept = json.loads((layout.agent / "cluster.json").read_text())
    return access.as_node(kept["server"], layout.agent, timeout=_SECONDS)


def _node(node: Object) -> Finding:
    name = f"node {node['metadata']['name']}"
    ready = conditions.find(node, "Ready")
    if ready and ready["status"] == "True":
        cordoned = ", but takes no new pods (cordoned)" if node["spec"].get("unschedulable") else ""
        return Finding(name, True, f"is ready{cordoned}")
    why = f": {ready['message']}" if ready and ready.get("message") else ""
    since = f" since {ready['lastTransitionTime']}" if ready else ""
    return Finding(
        name, False, f"is not ready{since}{why}", f"On that machine, run: k3py status ({name})"
    )


def _pods(pods: list[Object]) -> Iterator[Finding]:
    phases = Counter(pod.get("status", {}).get("phase", "Pending") for pod in pods)
    counted = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
    yield Finding("pods", True, counted or "none yet")
    for pod in pods:
        key = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        if reason := _trouble(pod):
            yield Finding(
                f"pod {key}",
                False,
                reason,
                f"k3py kubectl describe pod -n {pod['metadata']['namespace']} "
                f"{pod['metadata']['name']}",
            )


def _trouble(pod: Object) -> str:
    """What keeps a pod from running, as its status says it; empty when nothing does."""
    status = pod.get("status", {})
    scheduled = conditions.find(pod, "PodScheduled")
    if scheduled and scheduled["status"] == "False":
        return f"waits for a node: {scheduled.get('message', '')}"
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in _STARTING:
            return f"{container['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""


def _megabytes(pid: int) -> str:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return f"{int(line.split()[1]) // 1024} MB"
    except OSError:
        pass
    return "an unknown amount of memory"
