"""k3py: Kubernetes for Raspberry Pi clusters, in one executable."""

__version__ = "1.36.0+k3py1"
