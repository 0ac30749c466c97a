"""What knows nothing of Kubernetes: each module here could be a library of its own."""
