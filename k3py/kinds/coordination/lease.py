"""Leases: who holds something, and until when."""

from k3py.api.kind import Kind

LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
