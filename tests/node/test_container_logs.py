"""Logs are read as kubectl logs asks for them."""

import threading
from datetime import UTC, datetime

import pytest

from k3py.node import container_logs
from k3py.node.container_logs import Query

LINES = (
    b"2026-01-01T00:00:01.000000001Z stdout F one\n"
    b"2026-01-01T00:00:02.000000001Z stderr F two\n"
    b"2026-01-01T00:00:03.000000001Z stdout P thr\n"
    b"2026-01-01T00:00:03.000000002Z stdout F ee\n"
)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(), b"one\ntwo\nthree\n"),
        (Query(tail=2), b"three\n"),
        (Query(tail=0), b""),
        (Query(tail=100), b"one\ntwo\nthree\n"),
        (Query(limit=5), b"one\nt"),
        (Query(stream="Stderr"), b"two\n"),
        (Query(since=datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)), b"two\nthree\n"),
        (Query(tail=1, timestamps=True), b"2026-01-01T00:00:03.000000002Z ee\n"),
    ],
)
def test_what_is_asked_for_is_what_comes(tmp_path, query, text):
    assert read(write(tmp_path, LINES), query) == text


def test_a_line_that_has_no_end_yet_counts(tmp_path):
    path = write(tmp_path, LINES + b"2026-01-01T00:00:04.0Z stdout F half")
    assert read(path, Query(tail=1)) == b"half\n"


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert read(tmp_path / "none", Query()) == b""


def test_tails_longer_than_a_block_are_found(tmp_path):
    line = b"2026-01-01T00:00:01.0Z stdout F " + b"x" * 1000 + b"\n"
    path = write(tmp_path, line * 500)
    assert len(read(path, Query(tail=200))) == 200 * 1001


def test_following_goes_on_until_the_container_has_ended(tmp_path):
    path = write(tmp_path, LINES)
    ended, gone = threading.Event(), threading.Event()
    lines = container_logs.read(path, Query(follow=True), ended=ended, gone=gone)
    assert next(lines) == b"one\n"
    with path.open("ab") as file:
        file.write(b"2026-01-01T00:00:05.0Z stdout F last\n")
    ended.set()
    assert b"".join(lines) == b"two\nthree\nlast\n"


def test_following_survives_rotation(tmp_path):
    path = write(tmp_path, LINES)
    ended, gone = threading.Event(), threading.Event()
    lines = container_logs.read(path, Query(follow=True), ended=ended, gone=gone)
    assert b"".join(next(lines) for _ in range(4)) == b"one\ntwo\nthree\n"
    path.rename(tmp_path / "old")
    write(tmp_path, b"2026-01-01T00:00:06.0Z stdout F new\n")
    assert next(lines) == b"new\n"
    gone.set()
    assert list(lines) == []


def write(folder, content):
    path = folder / "0.log"
    path.write_bytes(content)
    return path


def read(path, query):
    never = threading.Event()
    return b"".join(container_logs.read(path, query, ended=never, gone=never))
