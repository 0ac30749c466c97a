"""Health, version and metrics: how the server is, for whoever looks after it."""

import os
import platform
import resource
import time
from collections.abc import Callable, Mapping

import flask

from k3py import __version__
from k3py.store.store import Store

MINOR = "36"
KUBERNETES = f"v1.{MINOR}.0"
_PATHS = ("/livez", "/readyz", "/healthz")

Check = Callable[[], str | None]


class Health:
    """`checks` each say what is wrong, or None. What is alive need not be ready."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = {"ping": lambda: None, **checks}

    def paths(self) -> tuple[str, ...]:
        return _PATHS

    def answer(self, http: flask.Request, name: str = "") -> flask.Response:
        """All checks, or the one called `name`; how each went, with ?verbose or on failure."""
        excluded = http.args.getlist("exclude")
        chosen = {n: c for n, c in self._checks.items() if not name or n == name}
        if not chosen:
            return flask.Response("404 page not found\n", 404, mimetype="text/plain")
        found = {n: None if n in excluded else check() for n, check in chosen.items()}
        failed = any(found.values())
        if not failed and "verbose" not in http.args:
            return flask.Response("ok", mimetype="text/plain")
        lines = [f"[-]{n} failed: {why}" if why else f"[+]{n} ok" for n, why in found.items()]
        what = http.path.strip("/").partition("/")[0]
        lines.append(f"{what} check {'failed' if failed else 'passed'}")
        return flask.Response(
            "\n".join(lines) + "\n", 500 if failed else 200, mimetype="text/plain"
        )


def version() -> dict[str, str]:
    """What /version says: the Kubernetes this behaves as, and the k3py it is."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
    return {
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": f"{KUBERNETES}+k3py1",
        "gitCommit": __version__,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "cpython",
        "platform": f"linux/{machine.get(platform.machine(), platform.machine())}",
    }


def metrics(store: Store, started: float) -> str:
    """A few figures in Prometheus' text format."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    figures = (
        ("process_cpu_seconds_total", "counter", used.ru_utime + used.ru_stime),
        ("process_resident_memory_bytes", "gauge", resident),
        ("process_start_time_seconds", "gauge", time.time() - (time.monotonic() - started)),
        ("k3py_store_revision", "gauge", store.revision),
    )
    return "".join(f"# TYPE {name} {kind}\n{name} {value}\n" for name, kind, value in figures)
