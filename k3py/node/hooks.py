"""Lifecycle hooks: what a container wants done after its start and before its end.

Rules: Kubernetes, "Container Lifecycle Hooks": exec, httpGet and sleep.
"""

from k3py.api.objects import Object
from k3py.base import clock
from k3py.node import checks
from k3py.node.checks import CheckFailed
from k3py.node.probing import HookFailed, Target
from k3py.node.runtime.runtime import Runtime

_POST_START_SECONDS = 24 * 3600.0  # Kubernetes sets no limit; this one only frees the thread


class LifecycleHooks:
    """The Hooks of a node: see probing.Hooks."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def post_start(self, target: Target) -> None:
        self._run("postStart", target, _POST_START_SECONDS)

    def pre_stop(self, target: Target, seconds: float) -> None:
        self._run("preStop", target, seconds)

    def _run(self, which: str, target: Target, seconds: float) -> None:
        hook: Object | None = (target.container.get("lifecycle") or {}).get(which)
        if not hook:
            return
        try:
            if action := hook.get("exec"):
                argv = list(action.get("command") or ())
                checks.execute(self._runtime, target.running.id, argv, seconds)
            elif action := hook.get("httpGet"):
                checks.http_get(action, target.container, target.address, min(seconds, 30))
            elif action := hook.get("sleep"):
                clock.sleep(min(seconds, float(action["seconds"])))
        except CheckFailed as failed:
            name = target.container["name"]
            raise HookFailed(f"{which} hook of {name} failed: {failed}") from failed
