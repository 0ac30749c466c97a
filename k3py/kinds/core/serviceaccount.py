"""Service accounts: who a pod is to the API.

They print as name and age alone, as since Kubernetes 1.35: their secrets mean nothing now.
"""

from k3py.api.kind import Kind

SERVICE_ACCOUNT = Kind(
    "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)
)
