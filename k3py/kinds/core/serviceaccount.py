"""Service accounts: who a pod is to the API."""

from k3py.api.kind import Kind

SERVICE_ACCOUNT = Kind(
    "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)
)
