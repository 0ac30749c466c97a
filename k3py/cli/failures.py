"""Which exceptions are an answer to the user, not a fault of the program."""

import errno
import os
import sys

# Known by name, so that saying one does not import what could have raised it.
_ANSWERS = {
    ("k3py.base.commands", "CommandFailed"),
    ("k3py.client.kubeconfig", "Unusable"),
    ("k3py.cluster.bootstrap", "Contradiction"),
    ("k3py.cluster.joining", "JoinRefused"),
    ("k3py.cluster.tokens", "BadToken"),
    ("k3py.daemon.host", "NoAddress"),
    ("k3py.daemon.options", "BadConfiguration"),
    ("k3py.daemon.preflight", "NotReady"),
    ("k3py.daemon.processes", "AlreadyRunning"),
    ("k3py.lab.lab", "LabFailed"),
    ("k3py.store.errors", "Unusable"),
}

_MENDABLE = (
    errno.ENOSPC,
    errno.EROFS,
    errno.EIO,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EADDRINUSE,
    errno.EADDRNOTAVAIL,
)


def told(failure: Exception) -> str | None:
    """What to tell the user; None for a fault, which deserves its traceback."""
    for cls in type(failure).__mro__:
        if (cls.__module__, cls.__name__) in _ANSWERS:
            return str(failure)
    connections = sys.modules.get("k3py.client.connections")
    if connections and isinstance(failure, connections.Unreachable):
        return f"{failure}. Is the server running? See: k3py status"
    errors = sys.modules.get("k3py.api.errors")
    if errors and isinstance(failure, errors.ApiError):
        return f"the API server says: {failure}"
    return _of_the_system(failure) if isinstance(failure, OSError) else None


def _of_the_system(failure: OSError) -> str | None:
    """What the kernel refused, where that is something a person can mend."""
    place = f"{failure.filename}: " if failure.filename else ""
    if failure.errno in (errno.EACCES, errno.EPERM):
        fix = ". Put sudo before the command" if os.geteuid() else ""
        return f"{place}{failure.strerror}{fix}"
    if failure.errno in _MENDABLE:
        return f"{place}{failure.strerror}"
    return None
