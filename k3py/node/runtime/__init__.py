"""The containers of this machine, through a protocol and Podman."""
