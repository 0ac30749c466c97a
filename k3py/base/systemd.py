"""Telling systemd that we are ready (sd_notify), where it wants to know."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send `state`, for example READY=1 or STATUS=…; nothing happens without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.sendall(state.encode())
