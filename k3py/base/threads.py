"""Named threads in groups, that start, stop and crash together.

In the server process `use_greenlets` makes each of them a greenlet; in the
agent they are native threads. Code is written once, as threads that block.
What blocks without gevent's knowledge (a SQLite commit, netlink) goes through
`offload`, which is a plain call where threads are native.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from k3py.base.log import Log

T = TypeVar("T")
Stop = threading.Event
log = Log("k3py.threads")


class Group:
    """Threads with one fate: the first that raises stops them all.

    Each thread runs `run(stop)` and returns soon after `stop` is set.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping: Stop = threading.Event()
        self.failure: BaseException | None = None
        self._threads: list[tuple[threading.Thread, Callable[[], object] | None]] = []

    def start(
        self, name: str, run: Callable[[Stop], object], *, wake: Callable[[], object] | None = None
    ) -> None:
        """Start a thread. `wake` is called when its turn to stop has come.

        That is after every thread started later has ended: one that serves the others (and
        may wait for something else than `stop`) goes on for them until then.
        """
        thread = threading.Thread(
            target=self._run, args=(name, run), name=f"{self.name}/{name}", daemon=True
        )
        self._threads.append((thread, wake))
        thread.start()

    def wait(self) -> None:
        """Block until the group is told to stop or a thread of it fails; then stop, and raise."""
        self.stopping.wait()
        self.stop()
        if self.failure:
            raise self.failure

    def stop(self, *, seconds: float = 10) -> None:
        """Tell every thread to stop, latest first, and wait up to `seconds` in all."""
        self.stopping.set()
        me = threading.current_thread()
        share = seconds / max(1, len(self._threads))
        for thread, wake in reversed(self._threads):
            if wake:
                wake()
            if thread is not me:
                thread.join(share)
                if thread.is_alive():
                    log.warning("thread did not stop in time", thread=thread.name)

    def _run(self, name: str, run: Callable[[Stop], object]) -> None:
        try:
            run(self.stopping)
        except BaseException as failure:
            if not self.stopping.is_set():
                log.exception("thread failed", thread=f"{self.name}/{name}")
                self.failure = failure
        finally:
            if self.failure:
                self.stopping.set()


def spawn(name: str, run: Callable[[], object]) -> threading.Thread:
    """A thread for one short errand, that nobody waits for; a failure is logged."""

    def guarded() -> None:
        try:
            run()
        except Exception:
            log.exception("errand failed", thread=name)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread


def use_greenlets() -> None:
    """Make every thread of this process a greenlet. Call before anything else is imported."""
    from gevent import monkey

    monkey.patch_all()


def greenlets() -> bool:
    """Whether threads of this process are greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return bool(monkey and monkey.is_module_patched("threading"))


def offload(call: Callable[..., T], *args: Any) -> T:
    """Run a call that blocks the whole native thread, where it harms nobody."""
    if not greenlets():
        return call(*args)
    import gevent

    def outcome() -> tuple[T, None] | tuple[None, Exception]:
        try:
            return call(*args), None
        except Exception as failure:  # gevent would print it, whether somebody expects it or not
            return None, failure

    result, failure = gevent.get_hub().threadpool.apply(outcome)
    if failure:
        raise failure
    done: T = result
    return done
