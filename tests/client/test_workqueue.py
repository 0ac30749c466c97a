"""The queue hands out every key that changed, to one worker at a time, when it is due."""

import threading

from k3py.client.workqueue import WorkQueue
from k3py.testing.clock import FakeClock


def test_a_key_added_twice_is_taken_once():
    queue = WorkQueue()
    queue.add("web")
    queue.add("web")
    assert queue.take() == "web"
    assert len(queue) == 0


def test_keys_are_taken_in_the_order_they_came():
    queue = WorkQueue()
    for key in ("a", "b", "c"):
        queue.add(key)
    assert [queue.take() for _ in range(3)] == ["a", "b", "c"]


def test_a_key_added_while_a_worker_has_it_comes_again_when_that_worker_is_done():
    queue = WorkQueue()
    queue.add("web")
    queue.take()
    queue.add("web")
    assert queue.take_now() is None
    queue.done("web")
    assert queue.take_now() == "web"


def test_a_key_for_later_comes_when_it_is_due():
    clock = FakeClock()
    queue = WorkQueue(clock=clock)
    queue.add_after("web", 10)
    clock.advance(9.9)
    assert queue.take_now() is None
    clock.advance(0.2)
    assert queue.take_now() == "web"


def test_of_several_wishes_for_later_the_earliest_counts_and_only_once():
    clock = FakeClock()
    queue = WorkQueue(clock=clock)
    for seconds in (10, 5, 20):
        queue.add_after("web", seconds)
    clock.advance(5)
    assert queue.take_now() == "web"
    queue.done("web")
    clock.advance(100)
    assert queue.take_now() is None


def test_a_worker_that_waits_wakes_for_what_falls_due():
    clock = FakeClock()
    queue = WorkQueue(clock=clock)
    taken = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    queue.add_after("web", 10)
    clock.advance(10)
    worker.join(5)
    assert taken == ["web"]


def test_retries_come_later_each_time_until_the_key_is_forgotten():
    queue = WorkQueue(clock=FakeClock(), first=1, limit=5)
    assert [queue.retry("web") for _ in range(4)] == [1, 2, 4, 5]
    queue.forget("web")
    assert queue.retry("web") == 1


def test_closing_lets_every_worker_go():
    queue = WorkQueue()
    taken = []
    workers = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(5)
    assert taken == [None] * 3
    queue.add("late")
    assert queue.take() is None


def test_many_workers_take_everything_and_never_the_same_at_once():
    queue = WorkQueue()
    held, taken, clashes = set(), [], []

    def work():
        for key in queue:
            if key in held:
                clashes.append(key)
            held.add(key)
            taken.append(key)
            held.discard(key)
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(50):
        for key in range(10):
            queue.add(key)
    while len(queue):
        threading.Event().wait(0.001)
    queue.close()
    for worker in workers:
        worker.join(5)
    assert not clashes
    assert set(taken) == set(range(10))
