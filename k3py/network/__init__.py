"""How packets get from pod to pod, and to Services."""
