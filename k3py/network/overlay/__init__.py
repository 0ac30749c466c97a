"""Pods of other nodes: routes and tunnels."""
