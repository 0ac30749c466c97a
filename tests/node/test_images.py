"""Which image a name means, when it is pulled, and with whose secret."""

import base64
import threading

import orjson
import pytest

from k3py.node import images
from k3py.node.images import ImageProblem, Images
from k3py.node.runtime.runtime import Credentials
from k3py.testing.clock import FakeClock
from k3py.testing.runtime import FakeRuntime

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("me/app", "docker.io/me/app:latest"),
        ("index.docker.io/library/a", "docker.io/library/a:latest"),
        ("localhost/a:1", "localhost/a:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b:v1", "ghcr.io/a/b:v1"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}"),
        ("192.168.1.1:5000/x:1", "192.168.1.1:5000/x:1"),
    ],
)
def test_names_are_completed(name, whole):
    assert images.normalized(name) == whole


@pytest.mark.parametrize("name", ["", "Busybox", "a b", "a:", "a@sha256:1", "http://a/b", "-a"])
def test_what_is_no_name(name):
    assert images.parse(name) is None


@pytest.mark.parametrize(
    ("image", "policy", "found"),
    [("a", None, "Always"), ("a:1", None, "IfNotPresent"), ("a:latest", "Never", "Never"),
     (f"a@{DIGEST}", None, "IfNotPresent")],
)  # fmt: skip
def test_pull_policies(image, policy, found):
    said = {"image": image} | ({"imagePullPolicy": policy} if policy else {})
    assert images.pull_policy(said) == found


def secret(auths):
    text = base64.b64encode(orjson.dumps({"auths": auths})).decode()
    return {"metadata": {"name": "pull"}, "data": {".dockerconfigjson": text}}


@pytest.mark.parametrize(
    ("place", "image", "fits"),
    [
        ("https://index.docker.io/v1/", "busybox", True),
        ("ghcr.io", "ghcr.io/a/b", True),
        ("ghcr.io/a", "ghcr.io/a/b", True),
        ("ghcr.io/a", "ghcr.io/ab/c", False),
        ("*.example.com", "r.example.com/a", True),
        ("example.com", "r.example.com/a", False),
    ],
)
def test_secrets_fit_by_registry_and_path(place, image, fits):
    entry = {"auth": base64.b64encode(b"bob:pa:ss").decode()}
    found = list(images.credentials([secret({place: entry})], images.parse(image)))
    assert found == ([Credentials("bob", "pa:ss")] if fits else [])


def test_the_most_specific_secret_comes_first_and_an_unreadable_one_not_at_all():
    auths = {"r.io": {"username": "all"}, "r.io/a": {"username": "one", "password": "p"}}
    broken = {"metadata": {"name": "x"}, "data": {".dockerconfigjson": "!!"}}
    found = images.credentials([broken, secret(auths)], images.parse("r.io/a/b"))
    assert [c.username for c in found] == ["one", "all"]


def test_an_image_is_pulled_once_for_all_that_wait_for_it():
    runtime = FakeRuntime()
    name = "docker.io/library/a:1"
    runtime.registry.add(name)
    ticking = FakeClock()
    found = Images(runtime, clock=ticking)
    reference = images.parse("a:1")
    gate, pulled = threading.Event(), []
    slow = runtime.pull

    def pull(image, credentials=None):
        gate.wait(5)
        ticking.advance(1)
        slow(image, credentials)

    runtime.pull = pull
    waiting = [
        threading.Thread(target=lambda: pulled.append(found.pull(reference, []))) for _ in range(5)
    ]
    for thread in waiting:
        thread.start()
    gate.set()
    for thread in waiting:
        thread.join(5)
    assert runtime.calls == [f"pull {name}"]
    assert len(pulled) == 5


def test_failures_back_off_and_tell_the_first_refusal():
    clock = FakeClock()
    runtime = FakeRuntime(clock=clock)
    found, reference = Images(runtime, clock=clock), images.parse("r.io/no:1")
    entry = secret({"r.io": {"username": "bob", "password": "x"}})
    seconds = []
    for _ in range(3):
        with pytest.raises(ImageProblem, match="manifest unknown") as problem:
            found.pull(reference, [entry])
        seconds.append(problem.value.seconds)
        assert found.wait_seconds(reference)[0] == problem.value.seconds
        clock.advance(problem.value.seconds)
        assert found.wait_seconds(reference)[0] == 0
    assert seconds == [10, 20, 40]
    assert runtime.credentials[:2] == [Credentials("bob", "x"), None]
