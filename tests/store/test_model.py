"""Whatever is done to a store, it is what a dict and a list of events would have been."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from k3py.base import threads
from k3py.store.history import RECENT_SECONDS
from k3py.store.record import Record
from k3py.store.store import Conflict, Store
from tests.store.conftest import Clock

KEYS = st.sampled_from(["/a/x", "/a/y", "/a/z", "/ab/x", "/b/x"])
PREFIXES = st.sampled_from(["", "/a/", "/ab/", "/b/", "/c/"])


class StoreLikeADict(RuleBasedStateMachine):
    """The model: the live records, all events since the start, and the revision."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.live, self.events, self.watches = {}, [], []
        self.base, self.aged, self.passed = 0, False, 0
        self.durable = set()

    @initialize()
    def begin(self):
        self._open()

    def _open(self):
        self.store = Store(self.folder / "state.db", clock=self.clock)
        self.store.start(threads.Group("model"))

    @rule(key=KEYS, value=st.binary(max_size=20), after=st.integers(0, 2), durable=st.booleans())
    def write(self, key, value, after, durable):
        self._write(key, value, after, durable)

    @rule(key=KEYS, after=st.integers(0, 2), durable=st.booleans())
    def delete(self, key, after, durable):
        self._write(key, None, after, durable)

    def _write(self, key, value, after, durable):
        before = self.live.get(key)
        # 0: must not exist, 1: the live revision or a wrong one, 2: any
        after = {0: 0, 1: before.revision if before else 99999, 2: None}[after]
        revision = self.store.revision + 1
        fits = after is None or after == (before.revision if before else 0)
        if not fits or (value is None and not before):
            with pytest.raises(Conflict) as conflict:
                self._call(key, value, after, durable)
            assert conflict.value.live == before
            return
        record = self._call(key, value, after, durable)
        previous, created = (before.value, before.created) if before else (None, revision)
        assert record == Record(revision, key, value, previous, created)
        self.events.append(record)
        if durable:
            self.durable.add(record.revision)
        if value is None:
            del self.live[key]
        else:
            self.live[key] = record._replace(previous=None)

    def _call(self, key, value, after, durable):
        make = None if value is None else lambda _: value
        return self.store.write(key, make, after=after, durable=durable)

    @rule(prefix=PREFIXES, back=st.integers(0, 40))
    def watch(self, prefix, back):
        since = max(0, self.store.revision - back)
        is_exact = since >= self.base and not self.aged
        self.watches.append((self.store.watch(prefix, since), prefix, since, is_exact, []))

    @rule()
    def restart(self):
        for watch, *_ in self.watches:
            watch.close()
        self.watches, self.passed = [], 0
        before = self.store.revision
        self.store.close()
        self._open()
        assert self.store.revision == before
        # From here on the past is told from the disk, which lacks what was soon replaced.
        self.base, self.aged = before, False

    @rule()
    def flush(self):
        self.store.flush()

    @rule(seconds=st.sampled_from([1, 100, 400]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)
        self.passed += seconds
        self.aged = self.passed > RECENT_SECONDS

    @rule(prefix=PREFIXES)
    def end_state_after_a_restart_is_reached_by_replay(self, prefix):
        """Whoever follows from the beginning ends with what is there."""
        watch = self.store.watch(prefix, 0)
        replayed = {}
        while record := watch.next(0):
            if record.value is None:
                replayed.pop(record.key, None)
            else:
                replayed[record.key] = record.value
        watch.close()
        assert replayed == {k: r.value for k, r in self.live.items() if k.startswith(prefix)}

    @invariant()
    def reads_are_the_model(self):
        if not hasattr(self, "store"):
            return
        for prefix in ("", "/a/", "/ab/"):
            expected = [self.live[key] for key in sorted(self.live) if key.startswith(prefix)]
            assert self.store.list(prefix).records == expected
            page = self.store.list(prefix, start="/a/y", limit=1)
            rest = [record for record in expected if record.key >= "/a/y"]
            assert (page.records, page.remaining) == (rest[:1], max(0, len(rest) - 1))
        for key in ("/a/x", "/b/x"):
            assert self.store.get(key) == self.live.get(key)

    @invariant()
    def watches_have_told_all_in_order(self):
        for watch, prefix, since, is_exact, told in self.watches:
            while record := watch.next(0):
                told.append(record)
            expected = [e for e in self.events if e.revision > since and e.key.startswith(prefix)]
            if is_exact:
                assert told == expected
                continue
            # Lazy records that were soon replaced may be missing, and nothing else.
            assert [_outline(r) for r in told] == [
                _outline(e)
                for e in expected
                if e.revision in self.durable or e.revision in {r.revision for r in told}
            ]
            newest = {e.key: e.revision for e in expected}
            assert {r.key: r.revision for r in told} == newest

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.folder)


def _outline(record):
    return record._replace(previous=None)


TestStore = StoreLikeADict.TestCase
TestStore.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
