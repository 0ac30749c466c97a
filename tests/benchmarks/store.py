"""What the bare store can do: the floor that the API server is measured against.

Durable writes are as fast as the disk says that it has flushed, and disks differ a
thousandfold (some virtual ones do not flush at all). So `disk` measures that too: compare
durable writes between machines only beside it.

Each function takes a folder on the disk to measure and returns figure → value. They take
about a second each; `python -m tests.benchmarks.store FOLDER` prints them all.
"""

import contextlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from k3py.base import threads
from k3py.store.store import Store

SECONDS = 1.0
VALUE = b'{"kind":"Pod","metadata":{"name":"web"}}'.ljust(1763, b" ")


def disk(folder):
    """Plain appends of one value with fdatasync per second: what no single writer can exceed."""
    with (folder / "plain").open("ab", buffering=0) as file:

        def append():
            file.write(VALUE)
            os.fdatasync(file.fileno())

        return {"disk: appends with fdatasync/s": _per_second(append)}


def writes(folder):
    """Durable writes per second, by 1 writer and by 16 at a time, and their bytes on disk."""
    figures = {}
    for writers in (1, 16):
        with _store(folder) as store:
            before = _bytes_written()
            count = _in_parallel(writers, lambda n, store=store: _write_some(store, n))
            figures[f"store: durable writes/s, {writers} writers"] = count / SECONDS
        if before is not None:
            figures[f"store: bytes to disk per write, {writers} writers"] = (
                _bytes_written() - before
            ) / count
    return figures


def lazy_writes(folder):
    """Writes per second that need not be on disk."""
    with _store(folder) as store:
        ends, count = time.monotonic() + SECONDS / 2, 0
        while time.monotonic() < ends:
            store.write(f"/leases/{count % 10}", lambda _: VALUE, after=None, durable=False)
            count += 1
        return {"store: lazy writes/s": count / (SECONDS / 2)}


def reads(folder):
    """Reads per second, of one among 5,000 and of 500 together, and how long it takes to open."""
    with _store(folder) as store:
        for n in range(5000):
            store.write(f"/pods/{n % 10}/{n:05}", lambda _: VALUE, after=0, durable=False)
        gets = _per_second(lambda: store.get("/pods/5/00555"))
        lists = _per_second(lambda: store.list("/pods/5/"))
    began = time.monotonic()
    Store(folder / "state.db").close()
    return {
        "store: gets/s": gets,
        "store: lists of 500/s": lists,
        "store: open with 5000 keys, ms": (time.monotonic() - began) * 1000,
    }


def fan_out(folder, watchers=500):
    """Milliseconds until each of 500 watches was told of a durable write: the median, the last."""
    with _store(folder) as store:
        delays, begin = [], [0.0]
        told = threading.Semaphore(0)

        def follow(watch):
            for _ in watch:
                delays.append(time.monotonic() - begin[0])
                told.release()

        readers = [
            threading.Thread(target=follow, args=(store.watch("/pods/", since=0),), daemon=True)
            for _ in range(watchers)
        ]
        for reader in readers:
            reader.start()
        for n in range(10):
            begin[0] = time.monotonic()
            store.write(f"/pods/{n}", lambda _: VALUE, after=0)
            for _ in readers:
                told.acquire()
        rounds = [delays[i : i + watchers] for i in range(0, len(delays), watchers)]
    for reader in readers:
        reader.join()
    return {
        f"store: fan-out to {watchers}, median ms": median(delays) * 1000,
        f"store: fan-out to {watchers}, last ms": median(max(r) for r in rounds) * 1000,
    }


ALL = (disk, writes, lazy_writes, reads, fan_out)


@contextlib.contextmanager
def _store(folder):
    path = folder / "state.db"
    path.unlink(missing_ok=True)
    store = Store(path)
    group = threads.Group("benchmark")
    store.start(group)
    try:
        yield store
    finally:
        group.stop()
        store.close()


def _write_some(store, number):
    ends, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < ends:
        store.write(f"/pods/{number}-{count % 100}", lambda _: VALUE, after=None)
        count += 1
    return count


def _in_parallel(count, call):
    results = []
    workers = [
        threading.Thread(target=lambda n=n: results.append(call(n)), daemon=True)
        for n in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(results)


def _per_second(call):
    ends, count = time.monotonic() + SECONDS / 4, 0
    while time.monotonic() < ends:
        call()
        count += 1
    return count / (SECONDS / 4)


def _bytes_written():
    """Of this process, to disks; None where the kernel does not tell."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return None


def main():
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        for measure in ALL:
            for figure, value in measure(Path(folder)).items():
                print(f"{figure:50} {value:12,.1f}")


if __name__ == "__main__":
    main()
