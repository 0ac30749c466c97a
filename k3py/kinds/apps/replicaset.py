"""ReplicaSets: so many pods, all alike."""

from k3py.api.kind import Kind

REPLICA_SET = Kind(
    "apps/v1",
    "ReplicaSet",
    "replicasets",
    short_names=("rs",),
    has_status=True,
    has_scale=True,
    categories=("all",),
)
