"""Events say what happened once, count what repeats, and never get in the way."""

import threading

from k3py import kinds
from k3py.api import errors
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.testing.client import FakeClient
from k3py.testing.clock import FakeClock

POD = {"metadata": {"name": "web", "namespace": "home", "uid": "u1", "resourceVersion": "7"}}


def test_an_event_has_every_field_that_tools_read():
    client, recorder = recording()
    recorder.event(kinds.POD, POD, WARNING, "BackOff", "again", field="spec.containers{web}")
    recorder.flush()
    (event,) = client.all(kinds.EVENT)
    about = event.pop("metadata")
    assert about["namespace"] == "home"
    assert about["name"].startswith("web.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "kind": "Pod",
            "namespace": "home",
            "name": "web",
            "uid": "u1",
            "apiVersion": "v1",
            "resourceVersion": "7",
            "fieldPath": "spec.containers{web}",
        },
        "reason": "BackOff",
        "message": "again",
        "source": {"component": "kubelet", "host": "pi1"},
        "firstTimestamp": "2030-01-01T12:00:00Z",
        "lastTimestamp": "2030-01-01T12:00:00Z",
        "count": 1,
        "type": "Warning",
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "pi1",
    }


def test_one_recorder_writes_in_the_name_of_several_components():
    client, recorder = recording()
    for component in ("deployment-controller", "node-controller"):
        recorder.of(component).event(kinds.POD, POD, NORMAL, "Seen", "the same")
    recorder.flush()
    said = [(e["source"]["component"], e["reportingComponent"]) for e in client.all(kinds.EVENT)]
    assert said == [("deployment-controller",) * 2, ("node-controller",) * 2]


def test_a_repeated_event_is_counted():
    client, recorder = recording()
    for _ in range(3):
        recorder.event(kinds.POD, POD, NORMAL, "Pulled", "image")
        recorder.flush()
        client.clock.advance(60)
    (event,) = client.all(kinds.EVENT)
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2030-01-01T12:00:00Z",
        "2030-01-01T12:02:00Z",
    )


def test_repeats_that_nobody_has_written_yet_are_one_write():
    client, recorder = recording()
    for _ in range(5):
        recorder.event(kinds.POD, POD, NORMAL, "Pulled", "image")
    recorder.flush()
    assert len(client.writes) == 1
    assert client.all(kinds.EVENT)[0]["count"] == 5


def test_an_event_that_has_expired_begins_anew():
    client, recorder = recording()
    recorder.event(kinds.POD, POD, NORMAL, "Pulled", "image")
    recorder.flush()
    (old,) = client.all(kinds.EVENT)
    client.remove(kinds.EVENT, (old["metadata"]["namespace"], old["metadata"]["name"]))
    client.clock.advance(3600)
    recorder.event(kinds.POD, POD, NORMAL, "Pulled", "image")
    recorder.flush()
    (new,) = client.all(kinds.EVENT)
    assert (new["count"], new["firstTimestamp"]) == (1, "2030-01-01T13:00:00Z")


def test_an_object_says_25_things_at_once_and_one_more_every_five_minutes():
    client, recorder = recording()
    for number in range(40):
        recorder.event(kinds.POD, POD, NORMAL, "Noise", f"number {number}")
    recorder.flush()
    assert len(client.all(kinds.EVENT)) == 25
    client.clock.advance(300)
    for number in range(2):
        recorder.event(kinds.POD, POD, NORMAL, "More", f"number {number}")
    recorder.flush()
    assert len(client.all(kinds.EVENT)) == 26


def test_events_of_cluster_scoped_objects_live_in_the_default_namespace():
    client, recorder = recording()
    recorder.event(kinds.NODE, {"metadata": {"name": "pi1"}}, NORMAL, "NodeReady", "ready")
    recorder.flush()
    assert client.all(kinds.EVENT)[0]["metadata"]["namespace"] == "default"


def test_a_refused_event_harms_nobody():
    client, recorder = recording()
    client.refuse("create Event", errors.Forbidden("the namespace is being terminated"))
    recorder.event(kinds.POD, POD, NORMAL, "Killing", "one")
    recorder.event(kinds.POD, POD, NORMAL, "Killing", "two")
    recorder.flush()
    assert [event["message"] for event in client.all(kinds.EVENT)] == ["two"]


def test_what_was_said_while_the_api_was_away_was_lost():
    client, recorder = recording()
    for _ in range(2):
        client.refuse("create Event", errors.ServiceUnavailable("no answer"))
        recorder.event(kinds.POD, POD, NORMAL, "Started", "again")
        assert not recorder.flush()
    recorder.event(kinds.POD, POD, NORMAL, "Killing", "another")
    assert recorder.flush()
    assert [(e["reason"], e["count"]) for e in client.all(kinds.EVENT)] == [
        ("Started", 2),
        ("Killing", 1),
    ]


def test_running_writes_what_is_noted_and_stops():
    client, recorder = recording()
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    recorder.event(kinds.POD, POD, NORMAL, "Pulled", "image")
    with client.changed:
        assert client.changed.wait_for(lambda: client.all(kinds.EVENT), 5)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def recording():
    clock = FakeClock()
    client = FakeClient(clock=clock)
    return client, Recorder(client, "kubelet", "pi1", clock=clock)
