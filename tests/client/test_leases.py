"""Of several candidates one leads, and another only after it can no longer."""

import threading

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.client.leases import Election
from k3py.testing.client import FakeClient

LEASE = Key("kube-system", "controllers")


def test_the_first_takes_the_lease_and_the_second_waits():
    client = FakeClient()
    one, two = candidate(client, "one"), candidate(client, "two")
    assert one.hold()
    assert not two.hold()
    assert one.hold()
    assert client.get(kinds.LEASE, LEASE)["spec"]["holderIdentity"] == "one"


def test_a_lease_that_is_not_renewed_is_taken_after_its_duration():
    client = FakeClient()
    one, two = candidate(client, "one"), candidate(client, "two")
    one.hold()
    assert not two.hold()
    client.clock.advance(14)
    assert not two.hold()
    client.clock.advance(2)
    assert two.hold()
    assert client.get(kinds.LEASE, LEASE)["spec"]["leaseTransitions"] == 1
    assert not one.hold()


def test_of_two_that_take_it_at_once_one_wins():
    client = FakeClient()
    client.refuse("create Lease", errors.already_exists(kinds.LEASE, "controllers"))
    assert not candidate(client, "one").hold()


def test_work_is_stopped_when_the_lease_cannot_be_renewed():
    client = FakeClient()
    working, stopped, stop = threading.Event(), threading.Event(), threading.Event()

    def lead(until):
        working.set()
        until.wait()
        stopped.set()

    election = candidate(client, "one")
    thread = threading.Thread(target=election.run, args=(stop, lead))
    thread.start()
    assert working.wait(5)
    client.update = lambda *args, **more: refuse()
    while not stopped.wait(0.02):
        client.clock.advance(1)
    assert client.clock.monotonic() <= 30
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def candidate(client, name):
    return Election(client, LEASE, name, clock=client.clock)


def refuse():
    raise errors.ServiceUnavailable("gone")
