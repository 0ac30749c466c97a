"""Nodes: the machines pods run on."""

from k3py.api.kind import Kind

NODE = Kind(
    "v1",
    "Node",
    "nodes",
    short_names=("no",),
    namespaced=False,
    has_status=True,
    subresources=("proxy",),
)
