"""Names for Services and pods, answered on every node."""
