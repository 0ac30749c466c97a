"""Services: one name and address for many pods."""

from k3py.kinds.core.service.kind import SERVICE
from k3py.kinds.core.service.questions import (
    affinity_seconds,
    cluster_ips,
    has_selector,
    is_external_name,
    is_headless,
    load_balancer_addresses,
    needs_cluster_ip,
    needs_node_ports,
)

__all__ = [
    "SERVICE",
    "affinity_seconds",
    "cluster_ips",
    "has_selector",
    "is_external_name",
    "is_headless",
    "load_balancer_addresses",
    "needs_cluster_ip",
    "needs_node_ports",
]
