"""Stores to test: on a real disk, with a clock that tests turn."""

import contextlib
import shutil
import sqlite3
import threading

import pytest

from k3py.base import threads
from k3py.store.store import Store


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def wait(self, event, seconds=None):
        until = None if seconds is None else self.seconds + seconds
        while not event.wait(0.002):
            if until is not None and self.seconds >= until:
                return False
        return True

    def advance(self, seconds):
        self.seconds += seconds


class Opened:
    """Opens stores, and closes what a test leaves open."""

    def __init__(self, folder, clock):
        self.folder, self.clock = folder, clock
        self.path = folder / "state.db"
        self._stores = []

    def __call__(self, path=None, **options):
        store = Store(path or self.path, clock=self.clock, **options)
        group = threads.Group("test")
        store.start(group)
        self._stores.append(store)
        return store

    def after_power_cut(self, path=None, **options):
        """The store as a kill -9 at this moment would leave it, opened again elsewhere."""
        path = path or self.path
        folder = self.folder / f"cut{len(self._stores)}"
        folder.mkdir()
        for suffix in ("", "-wal"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                shutil.copy(file, folder)
        self.last = folder / path.name
        return self(self.last, **options)

    def close(self):
        for store in self._stores:
            with contextlib.suppress(Exception):
                store.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    opened = Opened(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def store(opened):
    return opened()


@contextlib.contextmanager
def busy(store_path):
    """While this lasts, no commit gets through: another connection is writing."""
    other = sqlite3.connect(store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def put(store, key, text="x", **options):
    """Write `text`, whatever the key holds."""
    options = {"after": None, **options}
    return store.write(key, lambda _: text.encode(), **options)


def delete(store, key, **options):
    return store.write(key, None, **{"after": None, **options})


def drain(watch):
    """What a watch has to tell so far, as `key=value@revision`."""
    return [told(record) for record in iter(lambda: watch.next(0), None)]


def told(record):
    value = "gone" if record.value is None else record.value.decode()
    return f"{record.key}={value}@{record.revision}"


def live(store, prefix=""):
    """What is there, as a dict."""
    return {record.key: record.value.decode() for record in store.list(prefix).records}


class Aside:
    """A call on a thread of its own: what came of it, once it did."""

    def __init__(self, call):
        self.result = self.failure = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.result = self._call()
        except Exception as failure:
            self.failure = failure

    def is_waiting(self, seconds=0.02):
        self._thread.join(seconds)
        return self._thread.is_alive()

    def get(self):
        self._thread.join(10)
        assert not self._thread.is_alive(), "still waiting"
        if self.failure:
            raise self.failure
        return self.result


def until(condition):
    """Wait for what another thread is about to do."""
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it never happened")
