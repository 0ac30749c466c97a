"""Pods: containers that live and die together on one node."""

from k3py.api.kind import Kind

POD = Kind(
    "v1",
    "Pod",
    "pods",
    short_names=("po",),
    has_status=True,
    categories=("all",),
    subresources=(
        "attach",
        "binding",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "ephemeralcontainers",
        "resize",
    ),
)
