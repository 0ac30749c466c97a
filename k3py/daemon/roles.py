"""The label by which people see which node runs the control plane.

A node may not give it to itself (Kubernetes, NodeRestriction), so the server does.
"""

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.objects import Key, Object
from k3py.api.wellknown import CONTROL_PLANE
from k3py.base import threads
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.client.informer import Informers

log = Log("k3py.server")


def mark_control_plane(client: Client, informers: Informers, node_name: str) -> None:
    """Keep the label on the node of that name, from its registration on."""

    def changed(_old: Object | None, new: Object | None) -> None:
        if new and meta.key(new).name == node_name and CONTROL_PLANE not in meta.labels(new):
            threads.spawn("roles", lambda: _mark(client, node_name))

    informers.of(kinds.NODE).subscribe(changed)


def _mark(client: Client, node_name: str) -> None:
    change = {"metadata": {"labels": {CONTROL_PLANE: "true"}}}
    try:
        client.patch(kinds.NODE, Key("", node_name), change)
    except errors.ApiError as failure:
        log.warning("control plane node not labelled", node=node_name, why=failure)
