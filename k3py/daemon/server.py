"""Build and run a server: store, API, controllers, scheduler, and a node agent beside them."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask

from k3py import __version__
from k3py.api import errors
from k3py.apiserver.server import ApiServer
from k3py.base import files, pki, systemd, threads
from k3py.base import log as logs
from k3py.base.clock import SYSTEM
from k3py.base.log import Log
from k3py.client import kubeconfig
from k3py.client.client import Client
from k3py.cluster import bootstrap, certificates, joining, tokens
from k3py.cluster.layout import Layout
from k3py.daemon import agent, host, preflight, processes, roles
from k3py.daemon.config import AgentConfig, ServerConfig
from k3py.store.store import Store

log = Log("k3py.server")
_TOKEN_SWEEP_SECONDS = 3600
_RENEWAL_SECONDS = 600


def run(config: ServerConfig) -> None:
    """Be a cluster's server until told to stop. Raises what the command line tells the user."""
    logs.configure(debug=config.debug)
    layout = Layout(data=config.data)
    preflight.check_root()
    said = (processes.WITHOUT_AGENT,) if config.disable_agent else ()
    processes.claim(layout.server_pid, ("server", *said))
    preflight.check_server(
        address=config.bind_address,
        port=config.https_listen_port,
        data=layout.data,
        runs_pods=not config.disable_agent,
    )
    address = config.advertise_address or host.node_ip(config.node_ip, config.flannel_iface)
    log.info("server starts", version=__version__, address=address)
    group = threads.Group("server")
    store = Store(layout.datastore)
    try:
        _serve(config, layout, address, store, group)
        group.wait()
    finally:
        group.stop()
        store.close()


def _serve(
    config: ServerConfig, layout: Layout, address: str, store: Store, group: threads.Group
) -> None:
    certs = certificates.ensure(layout, _names(config, address), now=datetime.now(UTC))
    ca_hash = pki.fingerprint(certs.server_ca.certificate)
    password = tokens.server_password(layout.token, config.token_text())
    token = tokens.Token(ca_hash, f"server:{password}")
    tokens.save_server_token(layout.token, layout.node_token, token)
    store.start(group)
    joins = _Joins(certs.server_ca.certificate)
    api = _api(config, store, certs, joins)
    agent.stop_on_signals(group)
    group.start(
        "api",
        lambda stop: api.listen(
            config.bind_address,
            config.https_listen_port,
            certs.folder / "serving-kube-apiserver.crt",
            certs.folder / "serving-kube-apiserver.key",
            stop,
        ),
    )
    own = api.client("system:apiserver", ("system:masters",))
    bootstrap.prepare(
        own,
        cluster_cidr=config.cluster_cidr,
        service_cidr=config.service_cidr,
        dns_ip=config.dns_ip,
        advertise=address,
        port=config.https_listen_port,
    )
    bootstrap_tokens = tokens.BootstrapTokens(own, ca_hash)
    joins.admission = joining.Admission(
        own,
        password=password,
        bootstrap=bootstrap_tokens,
        server_ca=certs.server_ca,
        client_ca=certs.client_ca,
        facts=joining.ClusterFacts(
            config.cluster_cidr, config.service_cidr, config.dns_ip, config.cluster_domain
        ),
        now=SYSTEM.now,
    )
    _write_kubeconfig(config, certs)
    if not config.disable_agent:
        _start_agent(config, layout, group)
    _start_components(config, certs, api, group)
    group.start("certificates", lambda stop: _renew(config, layout, address, stop))
    group.start("tokens", lambda stop: _sweep(bootstrap_tokens, stop))
    systemd.notify(f"READY=1\nSTATUS=serving at https://{address}:{config.https_listen_port}")
    log.info("server is ready", url=f"https://{address}:{config.https_listen_port}")


def _names(config: ServerConfig, address: str) -> list[str]:
    """Every name and address the API may be called by."""
    domain = config.cluster_domain
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += [f"kubernetes.default.svc.{domain}", "localhost", "127.0.0.1", "::1", address]
    names += [bootstrap.first_address(config.service_cidr), config.name, *config.tls_san]
    return sorted({*names, *(a for found in host.addresses().values() for a in found)})


def _api(
    config: ServerConfig, store: Store, certs: certificates.ServerCertificates, joins: "_Joins"
) -> ApiServer:
    return ApiServer(
        store,
        service_cidr=config.service_cidr,
        node_ports=config.node_ports,
        cluster_domain=config.cluster_domain,
        service_account_key=certs.service_key,
        client_ca=certs.folder / "client-ca.crt",
        kubelet_ca=certs.folder / "server-ca.crt",
        kubelet_certificate=certs.folder / "client-kube-apiserver.crt",
        kubelet_key=certs.folder / "client-kube-apiserver.key",
        routes={joining.CA_PATH: joins.ca, joining.JOIN_PATH: joins.join},
    )


def _start_agent(config: ServerConfig, layout: Layout, group: threads.Group) -> None:
    own = AgentConfig(
        **{f.name: getattr(config, f.name) for f in dataclasses.fields(AgentConfig)}
        | {
            "server": f"https://127.0.0.1:{config.https_listen_port}",
            "token": "",
            "token_file": str(layout.token),
        }
    )
    child = processes.Child(agent.arguments(own), layout.agent_pid)
    group.start("agent", child.run, wake=child.wake)


def _start_components(
    config: ServerConfig,
    certs: certificates.ServerCertificates,
    api: ApiServer,
    group: threads.Group,
) -> None:
    from k3py import controllers
    from k3py.client.cached import CachedClient
    from k3py.client.events import Recorder
    from k3py.client.informer import Informers
    from k3py.scheduler.scheduler import Scheduler

    def client(name: str) -> Client:
        return api.client(name, ("system:masters",))

    own = client("system:kube-controller-manager")
    informers = Informers(own)
    recorder = Recorder(own, "controllers")
    controllers.start(
        group,
        CachedClient(own, informers),
        informers,
        recorder,
        SYSTEM,
        cluster_cidr=config.cluster_cidr,
        root_ca=certs.server_ca.certificate.decode(),
    )
    if not config.disable_agent:
        roles.mark_control_plane(own, informers, config.name)
    placing = client("system:kube-scheduler")
    scheduler_events = Recorder(placing, "default-scheduler")
    scheduler = Scheduler(CachedClient(placing, informers), informers, scheduler_events, SYSTEM)
    group.start("events", recorder.run)
    group.start("scheduler-events", scheduler_events.run)
    group.start("scheduler", scheduler.run)
    informers.start(group)


class _Joins:
    """The two routes of the join protocol; until the cluster is prepared, they say so."""

    def __init__(self, server_ca: bytes) -> None:
        self._server_ca = server_ca
        self.admission: joining.Admission | None = None

    def ca(self, _request: flask.Request) -> flask.Response:
        return flask.Response(self._server_ca, mimetype="application/x-pem-file")

    def join(self, request: flask.Request) -> Any:
        if self.admission is None:
            raise errors.ServiceUnavailable("the server has only just started; try again")
        if request.method != "POST":
            raise errors.MethodNotAllowed("a node joins with POST")
        credential = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return flask.jsonify(self.admission.admit(credential, request.get_json(silent=True)))


def _write_kubeconfig(config: ServerConfig, certs: certificates.ServerCertificates) -> None:
    text = kubeconfig.Kubeconfig(
        f"https://127.0.0.1:{config.https_listen_port}",
        certs.server_ca.certificate,
        certs.admin.certificate,
        certs.admin.key,
    ).text()
    path = Path(config.write_kubeconfig)
    mode = int(config.write_kubeconfig_mode, 8)
    if not path.exists() or path.read_text() != text or path.stat().st_mode & 0o777 != mode:
        files.write(path, text, mode=mode)


def _renew(config: ServerConfig, layout: Layout, address: str, stop: threads.Stop) -> None:
    """Renew certificates in time, also when the time of day was put right since they were made.

    Whoever uses them reads their files anew.
    """
    while not SYSTEM.wait(stop, _RENEWAL_SECONDS):
        try:
            certs = certificates.ensure(layout, _names(config, address), now=SYSTEM.now())
            _write_kubeconfig(config, certs)
        except (OSError, ValueError) as failure:
            log.error("certificates not renewed, will try again", why=failure)


def _sweep(bootstrap_tokens: tokens.BootstrapTokens, stop: threads.Stop) -> None:
    while not SYSTEM.wait(stop, _TOKEN_SWEEP_SECONDS):
        try:
            bootstrap_tokens.remove_expired(now=SYSTEM.now())
        except errors.ApiError as failure:
            log.warning("expired tokens not removed, will retry", why=failure)
