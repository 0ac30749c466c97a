"""In the server every thread is a greenlet: the store works there, and lets others work."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
from k3py.base import threads
threads.use_greenlets()
import sqlite3, sys, threading, time
from pathlib import Path
from k3py.store.store import Compacted, Conflict, Store, StoreFailed

path = Path(sys.argv[1])
store = Store(path)
group = threads.Group("test")
store.start(group)

def put(key, text="x", **options):
    return store.write(key, lambda _: text.encode(), **{"after": None, **options})

put("/pods/a")
watches = [store.watch("/pods/", since=0) for _ in range(50)]
told = [[] for _ in watches]
readers = [threads.spawn("reader", lambda w=w, t=t: t.extend(w)) for w, t in zip(watches, told)]

# A commit that takes long must not stop the others.
other = sqlite3.connect(path, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
writers = [threads.spawn("writer", lambda n=n: put(f"/pods/{n}")) for n in range(16)]
ticks = 0
began = time.monotonic()
while time.monotonic() < began + 0.1:
    time.sleep(0.002)
    ticks += 1
assert ticks > 15, ticks
assert store.revision == 1
other.execute("ROLLBACK")
for writer in writers:
    writer.join(5)
assert store.revision == 17

put("/leases/n", durable=False)
put("/leases/n", "2", durable=False)
store.flush()
try:
    put("/pods/a", after=0)
except Conflict as conflict:
    assert conflict.live.key == "/pods/a"
else:
    raise AssertionError("no conflict")
assert watches[0].next(0) is None

group.stop()
store.close()
for reader in readers:
    reader.join(5)
assert all([r.revision for r in t] == list(range(1, 18)) for t in told), told[0]

again = Store(path)
past = again.watch("/pods/", since=3)  # from the disk
assert [past.next(0).revision for _ in range(14)] == list(range(4, 18))
again.close()
print("done")
"""


def test_a_store_among_greenlets(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path / "state.db")],
        capture_output=True,
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
