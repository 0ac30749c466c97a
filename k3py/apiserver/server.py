"""The API server: the pipeline put together, and its two faces."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import flask

from k3py import kinds
from k3py.api.kind import Kind
from k3py.api.objects import Object
from k3py.apiserver import authn, expiry, health
from k3py.apiserver.admission.chain import chain
from k3py.apiserver.allocation import Allocator
from k3py.apiserver.authn.bootstrap_tokens import Lookup, Tokens
from k3py.apiserver.authn.serviceaccounts import ServiceAccounts
from k3py.apiserver.authz import AnyOf, Masters
from k3py.apiserver.authz.node import NodeAuthorizer
from k3py.apiserver.authz.rbac import Rbac
from k3py.apiserver.discovery import Discovery
from k3py.apiserver.documents import Documents
from k3py.apiserver.local import LocalClient
from k3py.apiserver.openapi import OpenApi
from k3py.apiserver.paths import Resources
from k3py.apiserver.pipeline import Pipeline, Serve
from k3py.apiserver.reading import Reader
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import AUTHENTICATED, User
from k3py.apiserver.subresources.finalize import Finalize
from k3py.apiserver.subresources.kubelets import Kubelets
from k3py.apiserver.subresources.pods import Binding, Eviction
from k3py.apiserver.subresources.proxies import Proxies
from k3py.apiserver.subresources.reviews import Reviews
from k3py.apiserver.subresources.scale import Scale
from k3py.apiserver.subresources.streams import Streams
from k3py.apiserver.subresources.token_request import Token
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.store.store import Store

Route = Callable[[flask.Request], Any]


class ApiServer:
    """Kubernetes' API over a store.

    `service_account_key` signs tokens (a private key, in PEM); `client_ca` is whom client
    certificates must come from; the `kubelet_*` files are for connections to nodes.
    `routes` are paths of their own, open to everybody. `tokens` knows further bearer tokens.
    """

    def __init__(
        self,
        store: Store,
        *,
        service_cidr: str,
        node_ports: tuple[int, int],
        cluster_domain: str,
        service_account_key: bytes,
        client_ca: Path,
        kubelet_ca: Path,
        kubelet_certificate: Path,
        kubelet_key: Path,
        issuer: str = "",
        routes: Mapping[str, Route] | None = None,
        tokens: Lookup | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._store, self._client_ca, self._clock = store, client_ca, clock
        self._started = time.monotonic()
        self._routes = dict(routes or {})
        self._reader = Reader(store)
        issuer = issuer or f"https://kubernetes.default.svc.{cluster_domain}"
        self._accounts = ServiceAccounts(service_account_key, issuer, issuer, self._reader, clock)
        self._others: list[authn.Verify] = [Tokens(tokens).user] if tokens else []
        rbac = Rbac(store)
        authorizer = AnyOf((Masters(), NodeAuthorizer(self._reader), rbac))
        registry = Registry(
            store,
            admission=chain(self._reader, authorizer, rbac),
            allocator=Allocator(store, service_cidr, range(node_ports[0], node_ports[1] + 1)),
            clock=clock,
        )
        reviews = Reviews(authorizer, rbac, self._accounts, self._others)
        self.pipeline = Pipeline(
            authorizer, registry, self._subresources(registry, clock), reviews.answers()
        )
        self._resources = Resources(kinds.ALL)
        self._kubelets = (kubelet_ca, kubelet_certificate, kubelet_key)

    def client(self, user: str, groups: tuple[str, ...] = ()) -> LocalClient:
        """The API for a component in this process, by the rules that hold for `user`."""
        return LocalClient(self.pipeline, User(user, (*groups, AUTHENTICATED)))

    def listen(
        self, address: str, port: int, certificate: Path, key: Path, stop: threads.Stop
    ) -> None:
        """Serve over TLS until `stop` is set. Raises OSError when the port is taken."""
        from k3py.apiserver import listener

        identity = listener.server_identity(certificate, key, self._client_ca)
        threads.spawn("event-expiry", lambda: expiry.run(self._store, stop, self._clock))
        listener.listen(self.app, address, port, identity, stop)

    @cached_property
    def app(self) -> flask.Flask:
        """The WSGI application."""
        from k3py.apiserver import web

        kubelets = Kubelets(self._reader, *self._kubelets)
        connects = {
            **Streams(self._reader, kubelets).connects(),
            **Proxies(self._reader, kubelets).connects(),
        }

        def served(kind: Kind, name: str) -> bool:
            at = (kind.plural, name)
            return name in ("status", "scale") or at in self.pipeline.subresources or at in connects

        documents = Documents(
            Discovery(self._resources, served),
            health.Health({"store": self._store_problem}),
            OpenApi(self._resources.kinds, served=served),
            {
                "/metrics": lambda: health.metrics(self._store, self._started),
                "/.well-known/openid-configuration": self._oidc,
                "/openid/v1/jwks": self._accounts.jwks,
            },
        )
        return web.create_app(
            web.Face(
                self.pipeline,
                self._resources,
                (self._accounts.user, *self._others),
                self._routes,
                documents.at,
                connects,
            )
        )

    def _subresources(self, registry: Registry, clock: Clock) -> dict[tuple[str, str], Serve]:
        return {
            ("*", "scale"): Scale(registry),
            ("pods", "binding"): Binding(registry, clock),
            ("pods", "eviction"): Eviction(registry),
            ("namespaces", "finalize"): Finalize(registry),
            ("serviceaccounts", "token"): Token(registry, self._accounts, self._reader),
        }

    def _store_problem(self) -> str | None:
        """The store keeps what is live in memory: reading it is the whole check."""
        self._store.get("/core/namespaces//default")
        return None

    def _oidc(self) -> Object:
        issuer = self._accounts.issuer
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        }
