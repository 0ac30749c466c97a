"""What Kubernetes objects are: pure functions over JSON. No I/O, no threads, no server."""
