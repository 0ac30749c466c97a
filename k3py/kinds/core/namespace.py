"""Namespaces: where names are unique, and what is deleted together."""

from k3py.api.kind import Kind

NAMESPACE = Kind(
    "v1",
    "Namespace",
    "namespaces",
    short_names=("ns",),
    namespaced=False,
    has_status=True,
    subresources=("finalize",),
)
