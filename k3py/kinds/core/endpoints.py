"""Endpoints: the addresses behind a Service, in its older form."""

from k3py.api.kind import Kind

ENDPOINTS = Kind("v1", "Endpoints", "endpoints", short_names=("ep",))
