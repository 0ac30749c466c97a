"""A part of this machine where a benchmark can do as it likes, and that ends with it.

`run` calls a module in namespaces of its own: no network but a loopback, an empty /run, and
its own processes, which all die with it. Other k3py here notices nothing, nor is it noticed.
"""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from k3py.base import commands

ROOT = Path(__file__).parents[2]
SECONDS = 600


def run(module, *args):
    """What the module's `inside(*args)` returns there; `args` are strings."""
    script = (
        "ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && "
        f'exec "{sys.executable}" -m tests.benchmarks.private "$@"'
    )
    inside = ["--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    printed = commands.run(
        *("unshare", *inside, "sh", "-ec", script, "private", module, *args),
        timeout=SECONDS,
        env=environment(),
    )
    return json.loads(printed)


@contextmanager
def process(*argv, log):
    """A program that runs as long as the block, and writes to the file `log`."""
    with log.open("ab") as output:
        started = subprocess.Popen(argv, stdout=output, stderr=output, env=environment())
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def environment():
    return {**commands.clean_environment(), "PYTHONPATH": str(ROOT)}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def main():
    import importlib

    output = os.dup(1)
    os.dup2(2, 1)  # only the result is for the caller
    result = importlib.import_module(sys.argv[1]).inside(*sys.argv[2:])
    os.write(output, json.dumps(result).encode())


if __name__ == "__main__":
    main()
