"""Measure, print the table, and write the same as JSON."""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from tests.benchmarks import api, figure, idle, pods, start
from tests.benchmarks.options import Options

# In the order in which they run; each is told the options and returns its figures.
BENCHMARKS = {"start": start, "pods": pods, "api": api, "idle": idle}


def main():
    given = _arguments()
    if os.geteuid() != 0:
        sys.exit("tests/benchmarks/run: must run as root: it makes networks and nodes")
    options = Options(given.idle_seconds, given.rounds, given.seconds, given.folder)
    figures, failed = [], []
    for name in given.names or BENCHMARKS:
        began = time.monotonic()
        print(f"measuring {name} …", end="", file=sys.stderr, flush=True)
        try:
            figures += BENCHMARKS[name].measure(options)
            print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
        except Exception:
            failed.append(name)
            print(f" failed:\n{traceback.format_exc()}", file=sys.stderr)
    if figures:
        print(figure.table(figures), end="")
    if given.json:
        given.json.write_text(figure.document(figures))
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _arguments():
    default = Options()
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks/run", description="Measure k3py's speed and memory."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--idle-seconds", type=float, default=default.idle_seconds)
    parser.add_argument("--rounds", type=int, default=default.rounds, help="the median counts")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="of each API load")
    parser.add_argument("--folder", type=Path, default=default.folder, help="on the disk to use")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    main()
