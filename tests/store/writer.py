"""A process that writes and says what was acknowledged, until it is killed. Run with a path.

With `greenlets` as a second argument its threads are greenlets. Prints `key revision text`.
"""

import sys
import time

from k3py.base import threads

if "greenlets" in sys.argv:
    threads.use_greenlets()

import itertools
import os
import random
from pathlib import Path

from k3py.store.store import Store

WRITERS = 4


def main():
    store = Store(Path(sys.argv[1]))
    group = threads.Group("writer")
    store.start(group)
    tell("ready", store.revision)
    for number in range(WRITERS):
        group.start(f"writer{number}", lambda stop, number=number: write(store, number))
    group.start("lazy", lambda stop: renew(store))
    group.wait()


def write(store, number):
    """Creations, updates and deletions of this writer's own keys, each told once it is safe."""
    for round_ in itertools.count():
        key = f"/pods/{number}-{random.randrange(5)}"
        live = store.get(key)
        if live and random.random() < 0.3:
            record = store.write(key, None, after=live.revision)
            text = "-"
        else:
            text = f"{number}.{round_}.{time.monotonic_ns()}"
            padded = text.encode() + b" " * random.randrange(2000)
            record = store.write(key, lambda _: padded, after=live.revision if live else 0)  # noqa: B023
        tell(key, record.revision, text)


def renew(store):
    """Lazy writes, as fast as heartbeats of many nodes, whose revisions must not come again."""
    while True:
        stamp = str(time.time_ns()).encode()
        record = store.write("/leases/n", lambda _: stamp, after=None, durable=False)  # noqa: B023
        tell("lazy", record.revision, "-")
        time.sleep(0.002)


def tell(*words):
    """A whole line at once, whatever the others say and whenever we are killed."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


if __name__ == "__main__":
    main()
