"""Services: one name and address for many pods."""

from k3py.api.kind import Kind

SERVICE = Kind(
    "v1",
    "Service",
    "services",
    short_names=("svc",),
    has_status=True,
    categories=("all",),
    subresources=("proxy",),
)
