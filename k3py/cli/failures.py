"""Which exceptions are an answer to the user, not a fault of the program."""

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


def told(failure: Exception) -> str | None:
    """What to tell the user; None for a fault, which deserves its traceback."""
    for cls in type(failure).__mro__:
        if (cls.__module__, cls.__name__) in _ANSWERS:
            return str(failure)
    errors = sys.modules.get("k3py.api.errors")
    if errors and isinstance(failure, errors.ApiError):
        return f"the API server says: {failure}"
    if isinstance(failure, ConnectionError | TimeoutError):
        return f"cannot reach the API server: {failure}. Is it running? See: k3py status"
    return None
