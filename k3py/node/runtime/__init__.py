"""Containers: what a node asks of a container engine, and Podman's answer."""
