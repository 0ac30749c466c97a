"""Build and run an agent: the node's pods and its network, beside a server or alone."""

import os
import signal
from datetime import UTC, datetime
from typing import Any

from k3py import __version__
from k3py.api.objects import Object
from k3py.base import log as logs
from k3py.base import systemd, threads
from k3py.base.clock import SYSTEM
from k3py.base.log import Log
from k3py.cluster import joining, tokens
from k3py.cluster.layout import Layout
from k3py.daemon import host, preflight, processes
from k3py.daemon.config import AgentConfig
from k3py.daemon.options import BadConfiguration
from k3py.node.runtime.service import Service

log = Log("k3py.agent")
_RENEWAL_SECONDS = 3600


def run(config: AgentConfig) -> None:
    """Be a node until told to stop. Raises what the command line tells the user."""
    logs.configure(debug=config.debug)
    if not config.server:
        raise BadConfiguration("an agent needs --server https://IP:6443 (or K3PY_URL)")
    layout = Layout(data=config.data)
    preflight.check_root()
    processes.claim(layout.agent_pid, arguments(config))
    preflight.check_agent(data=layout.data)
    address = host.node_ip(config.node_ip, config.flannel_iface)
    membership = _membership(config, layout, address)
    log.info("agent starts", version=__version__, node=config.name, address=address)
    _serve(config, layout, address, membership)


def arguments(config: AgentConfig) -> tuple[str, ...]:
    """The command line that an agent so configured is started with; its identity, too."""
    # All that counts is said here: the files have been read already.
    given: list[str] = [
        "agent",
        "--config",
        os.devnull,
        "--server",
        config.server,
        "--data-dir",
        config.data_dir,
    ]
    given += ["--token-file", config.token_file] if config.token_file else []
    for name, value in (
        ("--node-name", config.name),
        ("--node-ip", config.node_ip),
        ("--flannel-iface", config.flannel_iface),
    ):
        given += [name, value] if value else []
    for label in config.node_label:
        given += ["--node-label", label]
    for taint in config.node_taint:
        given += ["--node-taint", taint]
    return (*given, *(["--debug"] if config.debug else []))


def _membership(config: AgentConfig, layout: Layout, address: str) -> joining.Membership:
    text = config.token_text()
    token = tokens.parse(text) if text else None
    kept = joining.remembered(
        config.server,
        token,
        node=config.name,
        addresses=(address,),
        folder=layout.agent,
        now=datetime.now(UTC),
    )
    if kept and not joining.is_due(kept, now=datetime.now(UTC)):
        return kept
    try:
        return _join(config, layout, address, token)
    except (joining.JoinRefused, BadConfiguration) as refusal:
        if kept is None:
            raise
        log.warning("certificates not renewed, using those there are", why=refusal)
        return kept


def _renew(config: AgentConfig, layout: Layout, address: str, stop: threads.Stop) -> None:
    """Join again in time; whoever uses the certificates reads their files anew."""
    while not SYSTEM.wait(stop, _RENEWAL_SECONDS):
        try:
            _membership(config, layout, address)
        except (joining.JoinRefused, BadConfiguration, tokens.BadToken, OSError) as failure:
            log.error("certificates not renewed, will try again", why=failure)


def _join(
    config: AgentConfig, layout: Layout, address: str, token: tokens.Token | None
) -> joining.Membership:
    if token is None:
        raise BadConfiguration(
            "an agent needs --token to join: the server's /var/lib/k3py/server/node-token, or one "
            "made there by 'k3py token create'"
        )
    if not token.ca_hash:
        log.warning("the token names no server: trusting the first that answers")
    return joining.join(
        config.server,
        token,
        node=config.name,
        addresses=(address,),
        folder=layout.agent,
        password_file=layout.node_password,
    )


def _serve(
    config: AgentConfig, layout: Layout, address: str, membership: joining.Membership
) -> None:
    from k3py.client.events import Recorder
    from k3py.client.informer import Informers
    from k3py.daemon.access import as_node
    from k3py.network.agent import NetworkAgent
    from k3py.node.agent import LOGS, NodeAgent
    from k3py.node.hooks import LifecycleHooks
    from k3py.node.lookup import Lookup
    from k3py.node.probes import Probes
    from k3py.node.runtime.podman import Podman
    from k3py.node.server import Server

    client = as_node(config.server, layout.agent, timeout=30)
    informers = Informers(client)
    recorder = Recorder(client, "kubelet", host=config.name)
    facts = membership.facts
    network = NetworkAgent(
        client,
        informers,
        node_name=config.name,
        node_ip=address,
        cluster_cidr=facts.cluster_cidr,
        service_cidr=facts.service_cidr,
        dns_ip=facts.dns_ip,
        cluster_domain=facts.domain,
        interface=config.flannel_iface,
    )
    service = container_service(layout)
    runtime = Podman(service.socket, service.ensure)
    prober = Probes(runtime, recorder)
    node = NodeAgent(
        client,
        informers,
        recorder=recorder,
        node_name=config.name,
        addresses=(address,),
        runtime=runtime,
        network=network.pods,
        network_problem=network.problem,
        prober=prober,
        hooks=LifecycleHooks(runtime),
        root=layout.agent,
        run=layout.run,
        version=f"v{__version__}",
        labels=_labels(config),
        taints=tuple(map(_taint, config.node_taint)),
        dns_ip=facts.dns_ip,
        cluster_domain=facts.domain,
    )
    server = Server(
        Lookup(node.pod, node.observer, node.sandboxes, LOGS),
        runtime,
        certificate=layout.agent / "serving-kubelet.crt",
        key=layout.agent / "serving-kubelet.key",
        client_ca=layout.agent / "client-ca.crt",
    )
    group = threads.Group("agent")
    group.start("membership", lambda stop: _renew(config, layout, address, stop))
    stop_on_signals(group)
    group.start("events", recorder.run)
    group.start("network", network.run)
    group.start("probes", prober.run)
    group.start("server", server.run)
    group.start("node", node.run)
    informers.start(group)
    systemd.notify("READY=1\nSTATUS=node agent runs")
    group.wait()


def container_service(layout: Layout) -> Service:
    """Podman, with a storage of its own: nobody else's containers are touched, nor see ours."""
    return Service(layout.agent / "containers", layout.run / "containers")


def _labels(config: AgentConfig) -> dict[str, str]:
    return {key: value for key, _, value in (item.partition("=") for item in config.node_label)}


def _taint(text: str) -> Object:
    """key=value:effect, or key:effect."""
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def stop_on_signals(group: threads.Group) -> None:
    """Let SIGTERM and SIGINT stop the group."""

    def stop(_number: int, _frame: Any) -> None:
        group.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
