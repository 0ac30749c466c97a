"""A step that is repeated whenever something may have changed, and after a failure until it works.

Nothing is done on a timer. A step looks at everything itself, so waking a loop twice, or
for nothing, does no harm; changes that come while a step runs lead to one more.
"""

import threading
from collections.abc import Callable

from k3py.api.errors import ApiError
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.commands import CommandFailed
from k3py.base.log import Log
from k3py.base.threads import Stop

log = Log("k3py.network")


class Loop:
    """`step` answers in how many seconds it wants to be repeated in any case, or None."""

    def __init__(
        self, name: str, step: Callable[[], float | None], *, clock: Clock = SYSTEM
    ) -> None:
        self.name = name
        self.problem = ""  # why the last step failed
        self._step = step
        self._clock = clock
        self._backoff: Backoff[str] = Backoff(0.5, 30)
        self._woken = threading.Event()
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def run(self, stop: Stop) -> None:
        """Until `stop` is set; whoever sets it must wake the loop."""
        again: float | None = None
        while True:
            self._clock.wait(self._woken, again)
            self._woken.clear()
            if stop.is_set():
                return
            again = self._attempt()

    def _attempt(self) -> float | None:
        try:
            again = self._step()
        except Exception as failure:
            if isinstance(failure, CommandFailed | LookupError | ApiError):
                log.warning("step failed, will try again", loop=self.name, why=failure)
            else:
                log.exception("step failed, will try again", loop=self.name)
            self.problem = str(failure) or type(failure).__name__
            return self._backoff.next(self.name)
        self.problem = ""
        self._backoff.forget(self.name)
        return again
