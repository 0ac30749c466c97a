"""The node agent: what a kubelet does."""
