"""Roles and cluster roles: what may be done."""

from k3py.api.kind import Kind

ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
