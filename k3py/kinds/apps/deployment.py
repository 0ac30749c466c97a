"""Deployments: pods from a template, replaced gently when it changes."""

from k3py.api.kind import Kind

DEPLOYMENT = Kind(
    "apps/v1",
    "Deployment",
    "deployments",
    short_names=("deploy",),
    has_status=True,
    has_scale=True,
    categories=("all",),
)
