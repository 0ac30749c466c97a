"""Secrets: keys and values that few may read."""

from k3py.api.kind import Kind

SECRET = Kind("v1", "Secret", "secrets")
