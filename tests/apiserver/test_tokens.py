"""Service account tokens are worth as much as what they are bound to."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.apiserver.authn.serviceaccounts import ServiceAccounts
from k3py.apiserver.reading import Reader
from k3py.base import pki
from k3py.testing.clock import FakeClock

ROBOT = Key("default", "robot")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUER = "https://kubernetes.default.svc.cluster.local"


@pytest.fixture
def robot(client):
    return client.create(kinds.SERVICE_ACCOUNT, {"metadata": ROBOT._asdict()})


@pytest.fixture
def accounts(store):
    clock = FakeClock(NOW)
    made = ServiceAccounts(pki.new_key(), ISSUER, ISSUER, Reader(store), clock)
    made.clock = clock
    return made


def request(client, **spec):
    return client.create_at(kinds.SERVICE_ACCOUNT, ROBOT, "token", {"spec": spec})


def pod(client, account="robot"):
    spec = {
        "containers": [{"name": "c", "image": "x"}],
        "serviceAccountName": account,
        "nodeName": "pi1",
    }
    metadata = {"name": "web", "namespace": "default"}
    return client.create(kinds.POD, {"metadata": metadata, "spec": spec})


def bound_to(obj):
    metadata = obj["metadata"]
    return {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}


def test_a_token_says_who_its_holder_is(accounts, robot):
    user = accounts.user(accounts.issue(robot, seconds=3600).token)
    assert user.name == "system:serviceaccount:default:robot"
    assert user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    )
    assert user.uid == robot["metadata"]["uid"]


def test_a_token_ends(accounts, robot):
    token = accounts.issue(robot, seconds=3600).token
    accounts.clock.advance(3599)
    assert accounts.user(token)
    accounts.clock.advance(1)
    assert accounts.user(token) is None


def test_a_token_dies_with_its_account_even_if_another_takes_the_name(accounts, robot, client):
    token = accounts.issue(robot, seconds=3600).token
    client.delete(kinds.SERVICE_ACCOUNT, ROBOT)
    assert accounts.user(token) is None
    client.create(kinds.SERVICE_ACCOUNT, {"metadata": ROBOT._asdict()})
    assert accounts.user(token) is None


def test_a_token_dies_with_its_pod(accounts, robot, client):
    web = pod(client)
    token = accounts.issue(robot, seconds=3600, bound=("pod", web)).token
    user = accounts.user(token)
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("web",)
    client.delete(kinds.POD, Key("default", "web"), grace=0)
    assert accounts.user(token) is None


def test_a_token_for_somebody_else_is_no_token_here(accounts, robot):
    token = accounts.issue(robot, seconds=3600, audiences=["vault"]).token
    assert accounts.user(token) is None
    assert accounts.reviewed(token, ["vault"])


def forged(accounts, robot):
    good = accounts.issue(robot, seconds=3600).token
    claims = jwt.decode(good, options={"verify_signature": False})
    public = jwt.PyJWK(accounts.jwks()["keys"][0])
    head, body, _ = good.split(".")
    yield jwt.encode(claims, pki.new_key(), "ES256")
    yield jwt.encode(claims, None, "none")
    yield jwt.encode(claims, str(public.key_id) * 2, "HS256")
    yield f"{head}.{body}."
    yield f"{head}.{body}.AAAA"
    yield "a.b.c"
    yield "x" * 100_000


def test_a_forged_token_is_no_token(accounts, robot):
    for token in forged(accounts, robot):
        assert accounts.user(token) is None


def test_a_token_can_be_asked_for(client, robot):
    answer = request(client, expirationSeconds=600)
    expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
    assert timedelta(seconds=590) < expires - datetime.now(UTC) <= timedelta(seconds=600)
    review = {"spec": {"token": answer["status"]["token"]}}
    status = client.create(kinds.TOKEN_REVIEW, review)["status"]
    assert status["authenticated"]
    assert status["user"]["username"] == "system:serviceaccount:default:robot"
    wrong = client.create(kinds.TOKEN_REVIEW, {"spec": {"token": "x"}})["status"]
    assert not wrong.get("authenticated")


def test_a_token_is_bound_only_to_a_pod_of_the_account(client, robot):
    web = pod(client, account="default")
    with pytest.raises(errors.BadRequest, match="different serviceaccount"):
        request(client, boundObjectRef=bound_to(web))
    with pytest.raises(errors.NotFound):
        request(client, boundObjectRef={"kind": "Pod", "name": "none"})
    with pytest.raises(errors.Conflict):
        request(client, boundObjectRef=bound_to(web) | {"uid": "other"})
    with pytest.raises(errors.BadRequest):
        request(client, boundObjectRef={"kind": "Deployment", "name": "x"})


@pytest.mark.parametrize("seconds", [1, 599, 1 << 33])
def test_a_life_too_short_or_long_is_refused(client, robot, seconds):
    with pytest.raises(errors.Invalid, match="may not specify a duration"):
        request(client, expirationSeconds=seconds)


def test_a_review_confirmed_audiences_that_the_token_was_not_meant_for(accounts, robot):
    token = accounts.issue(robot, seconds=3600, audiences=("vault",)).token
    assert accounts.reviewed(token, ("vault", "bank")).audiences == ["vault"]
    assert accounts.reviewed(token, ("bank",)) is None
