"""A store killed at any moment holds all that it acknowledged, and gives no revision twice."""

import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 5


@pytest.mark.parametrize("flavour", ["threads", "greenlets"])
def test_a_killed_store_has_lost_nothing_it_acknowledged(tmp_path, opened, flavour):
    path = tmp_path / "state.db"
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    acknowledged, highest = {}, 0
    for _ in range(KILLS):
        started_at, acks = _write_until_killed(path, flavour, moments.uniform(0.02, 0.3))
        assert started_at >= highest, f"seed {seed}"
        for key, revision, text in acks:
            highest = max(highest, revision)
            if key != "lazy":
                acknowledged[key] = max(acknowledged.get(key, (0, "")), (revision, text))
        _check(path, acknowledged, opened, f"seed {seed}")
    assert acknowledged


def _write_until_killed(path, flavour, seconds):
    """Where the writer started, and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(path), flavour],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        ready = process.stdout.readline().split()
        killer = threading.Timer(seconds, process.kill)
        killer.start()
        lines = process.stdout.read().splitlines(keepends=True)
        killer.join()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    acks = [line.split() for line in lines if line.endswith("\n")]
    return int(ready[1]), [(key, int(revision), text) for key, revision, text in acks]


def _check(path, acknowledged, opened, seed):
    store = opened(path)
    for key, (revision, text) in acknowledged.items():
        live = store.get(key)
        if live is None or live.revision == revision:
            found = live.value.split()[0].decode() if live else "-"
            # Gone may also be a deletion that came later and could not be told any more.
            assert found == text or live is None, f"{seed}: {key} is {found}, not {text}"
            if live is None and text != "-":
                _assert_deleted_later(path, key, revision, seed)
        else:
            assert live.revision > revision, f"{seed}: {key} went back"
    store.close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def _assert_deleted_later(path, key, revision, seed):
    db = sqlite3.connect(path)
    later = "SELECT count(*) FROM log WHERE key = ? AND revision > ? AND deleted"
    assert db.execute(later, (key, revision)).fetchone() != (0,), f"{seed}: {key} is lost"
    db.close()
