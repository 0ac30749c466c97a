"""The API gets the newest status of each pod, once."""

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.node.reporter import Reporter
from k3py.testing.client import FakeClient
from k3py.testing.clock import FakeClock

from .arrange import pod

WEB = Key("home", "web")


def status(phase):
    return {"phase": phase, "conditions": []}


def test_only_the_newest_is_written(api):
    api.reporter.report(api.pod(), status("Pending"), urgent=False)
    assert 0 < api.reporter.flush() <= 0.4
    api.reporter.report(api.pod(), status("Running"))
    assert api.reporter.flush() is None
    assert api.client.writes == ["patch Pod/web/status"]
    assert api.phase() == "Running"


def test_what_only_begins_is_written_when_nothing_better_comes(api):
    api.reporter.report(api.pod(), {"phase": "Pending", "hostIP": "x"}, urgent=False)
    api.clock.advance(0.5)
    assert api.reporter.flush() is None
    assert api.client.writes == ["patch Pod/web/status"]


def test_what_the_api_has_is_not_written_again(api):
    first = api.pod()
    api.reporter.report(first, status("Running"))
    api.reporter.flush()
    api.reporter.report(first, status("Running"))
    api.reporter.report(api.pod(), status("Running"))
    api.reporter.flush()
    assert len(api.client.writes) == 1


def test_what_somebody_else_has_changed_is_set_right(api):
    api.reporter.report(api.pod(), status("Running"))
    api.reporter.flush()
    api.client.put(kinds.POD, api.pod() | {"status": {"phase": "Unknown"}})
    api.reporter.report(api.pod(), status("Running"))
    api.reporter.flush()
    assert api.phase() == "Running"


def test_a_server_that_is_away_gets_the_newest_when_it_is_back(api):
    api.client.refuse("patch", errors.ServiceUnavailable("away"))
    api.reporter.report(api.pod(), status("Pending"))
    assert api.reporter.flush() == 0.5
    api.reporter.report(api.pod(), status("Running"))
    api.clock.advance(1)
    assert api.reporter.flush() is None
    assert api.phase() == "Running"


def test_the_last_status_comes_before_the_deletion(api):
    api.reporter.finish(api.pod(), status("Failed"))
    api.reporter.flush()
    assert api.client.writes == ["patch Pod/web/status", "delete Pod/web"]
    assert api.finished == ["uid-web"]


@pytest.mark.parametrize("refusal", [errors.NotFound("gone"), errors.Conflict("another uid")])
def test_a_pod_that_is_gone_is_done_with(api, refusal):
    api.client.refuse("patch", refusal)
    api.reporter.finish(api.pod(), status("Failed"))
    assert api.reporter.flush() is None
    assert api.finished == ["uid-web"]


def test_a_refused_status_does_not_keep_the_pod_alive(api):
    api.client.refuse("patch", errors.Invalid("no such phase"))
    api.reporter.finish(api.pod(), status("Failed"))
    api.reporter.flush()
    assert api.client.writes[-1] == "delete Pod/web"


class Api:
    def __init__(self):
        self.clock = FakeClock()
        self.client = FakeClient((kinds.POD, pod(deleting=5)), clock=self.clock)
        self.finished = []
        self.reporter = Reporter(self.client, finished=self.finished.append, clock=self.clock)

    def pod(self):
        return self.client.get(kinds.POD, WEB)

    def phase(self):
        return self.pod()["status"]["phase"]


@pytest.fixture
def api():
    return Api()
