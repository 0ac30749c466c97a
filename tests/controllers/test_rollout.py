"""The steps of a rollout follow from its limits and from what runs, as on Kubernetes."""

import pytest

from k3py.controllers import rollout
from k3py.controllers.rollout import Aim, Part


def old(replicas, available=None, name="old", created="2"):
    return Part(name, created, replicas, replicas if available is None else available)


def new(replicas, available=None):
    return Part("new", "3", replicas, replicas if available is None else available)


# fmt: off
@pytest.mark.parametrize(("replicas", "surge", "unavailable", "aim"), [
    (10, "25%", "25%", Aim(10, 3, 2)),     # surge rounds up, unavailability down
    (4,  "25%", "25%", Aim(4, 1, 1)),
    (3,  "25%", "25%", Aim(3, 1, 0)),
    (1,  "25%", "25%", Aim(1, 1, 0)),
    (5,  2,     0,     Aim(5, 2, 0)),
    (5,  0,     "10%", Aim(5, 0, 1)),      # nothing and nothing would stand still
    (2,  "0%",  5,     Aim(2, 0, 2)),      # no more than there are
    (0,  "25%", 1,     Aim(0, 0, 0)),
    (5,  "100%", "100%", Aim(5, 5, 5)),
])
def test_percentages_of_the_limits(replicas, surge, unavailable, aim):
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": limits}}
    assert rollout.aim({"spec": spec}) == aim


@pytest.mark.parametrize(("aim", "new", "old", "sizes"), [
    # the new one grows into what surge leaves room for
    (Aim(10, 3, 2), new(0),    [old(10)],    {"new": 3}),
    (Aim(10, 3, 2), new(3),    [old(8)],     {"new": 5}),
    (Aim(10, 3, 2), new(8),    [old(1)],     {"new": 10}),       # never above what is wanted
    (Aim(3, 1, 0),  new(0),    [old(3)],     {"new": 1}),
    (Aim(2, 0, 1),  new(0),    [old(1)],     {"new": 1}),
    (Aim(5, 5, 5),  new(0),    [old(5)],     {"new": 5}),
    (Aim(3, 1, 0),  new(0),    [],           {"new": 3}),
    # it shrinks when it is too large
    (Aim(2, 1, 0),  new(5),    [],           {"new": 2}),
    # the old ones shrink as far as enough pods are available
    (Aim(10, 3, 2), new(3, 0), [old(10)],    {"old": 8}),
    (Aim(10, 3, 2), new(5, 0), [old(8)],     {}),
    (Aim(10, 3, 2), new(5, 3), [old(8)],     {"old": 5}),
    (Aim(10, 3, 2), new(5, 5), [old(8)],     {"old": 3}),
    (Aim(3, 1, 0),  new(1, 0), [old(3)],     {}),
    (Aim(3, 1, 0),  new(1, 1), [old(3)],     {"old": 2}),
    (Aim(2, 0, 1),  new(0),    [old(2)],     {"old": 1}),
    (Aim(5, 0, 5),  new(0),    [old(5)],     {"old": 0}),
    (Aim(3, 1, 0),  new(3, 3), [old(1)],     {"old": 0}),
    # what is not available goes first, for it is no loss
    (Aim(10, 3, 2), new(3, 0), [old(10, 8)], {"old": 8}),
    (Aim(10, 3, 2), new(3, 3), [old(10, 5)], {"old": 5}),
    (Aim(3, 1, 0),  new(1, 0), [old(3, 0)],  {}),
    (Aim(3, 1, 1),  new(1, 0), [old(3, 0)],  {"old": 2}),
    (Aim(4, 2, 0),  new(1, 1), [old(3, 3, "a", "1"), old(2, 0, "b", "2")], {"b": 0}),
    # of several old ones the oldest go first
    (Aim(4, 2, 0),  new(2, 2), [old(3, 3, "a", "1"), old(1, 1, "b", "2")], {"a": 1}),
    (Aim(4, 2, 0),  new(4, 4), [old(1, 1, "b", "2"), old(1, 1, "a", "1")], {"b": 0, "a": 0}),
    # done
    (Aim(3, 1, 0),  new(3, 3), [old(0)],     {}),
    (Aim(3, 1, 0),  new(3, 1), [old(0)],     {}),
    (Aim(0, 0, 0),  new(0),    [old(3)],     {"old": 0}),
])
def test_the_next_step_of_a_rolling_update(aim, new, old, sizes):
    assert rollout.rolling_step(aim, new, old) == sizes


def of(name, created, replicas, *, available=None, aimed_at=None, most=None):
    available = replicas if available is None else available
    return Part(name, created, replicas, available, aimed_at, most)


@pytest.mark.parametrize(("aim", "new", "old", "sizes"), [
    # one ReplicaSet alone follows
    (Aim(5, 2, 1), of("new", "2", 3), [], {"new": 5}),
    (Aim(5, 2, 1), of("new", "2", 0), [of("old", "1", 3)], {"old": 5}),
    (Aim(5, 2, 1), None, [of("a", "1", 0), of("b", "2", 0)], {"b": 5}),
    (Aim(5, 2, 1), of("new", "2", 5), [], {}),
    (Aim(5, 2, 1), None, [], {}),
    # a new one that is all there needs no old ones
    (Aim(3, 1, 1), of("new", "2", 3, aimed_at=3), [of("old", "1", 1)], {"old": 0}),
    # in the middle of a rollout each keeps its share
    (Aim(20, 5, 5), of("new", "2", 5, aimed_at=10, most=13), [of("old", "1", 8, most=13)],
     {"old": 15, "new": 10}),
    (Aim(5, 2, 1), of("new", "2", 5, aimed_at=10, most=13), [of("old", "1", 8, most=13)],
     {"old": 4, "new": 3}),
    (Aim(10, 0, 1), of("new", "2", 5, most=10), [of("old", "1", 5, most=10)], {}),
    (Aim(15, 0, 1), of("new", "2", 5, most=10), [of("old", "1", 5, most=10)],
     {"old": 7, "new": 8}),
    (Aim(0, 0, 0), of("new", "2", 5, most=10), [of("old", "1", 5, most=10)],
     {"old": 0, "new": 0}),
    # a part that does not say what it was part of is one of all that run
    (Aim(20, 0, 1), of("new", "2", 4), [of("old", "1", 6)], {"old": 12, "new": 8}),
])
def test_a_change_of_replicas_is_shared(aim, new, old, sizes):
    found = rollout.resized(aim, new, old, is_rolling=True, running=10)
    assert found == sizes
# fmt: on


def test_a_recreated_deployment_is_not_shared_out():
    parts = (of("new", "2", 5, most=10), [of("old", "1", 5, most=10)])
    assert rollout.resized(Aim(20, 0, 0), *parts, is_rolling=False, running=10) == {}


@pytest.mark.parametrize(
    ("part", "resized"),
    [
        (of("a", "1", 3, aimed_at=3), False),
        (of("a", "1", 3, aimed_at=2), True),
        (of("a", "1", 0, aimed_at=2), False),
        (of("a", "1", 3), False),
    ],
)
def test_a_change_of_replicas_is_noticed(part, resized):
    assert rollout.is_resized(Aim(3, 1, 1), [part]) is resized


def test_the_hash_depends_on_the_template_and_on_collisions_alone():
    one = template("busybox")
    assert rollout.template_hash(one, 0) == rollout.template_hash(template("busybox"), 0)
    assert rollout.template_hash(one, 0) != rollout.template_hash(one, 1)
    assert rollout.template_hash(one, 0) != rollout.template_hash(template("nginx"), 0)
    assert len(rollout.template_hash(one, 0)) == 10


def test_the_hash_label_and_empty_fields_make_no_difference_to_a_template():
    one, other = template("busybox"), template("busybox")
    other["metadata"]["labels"]["pod-template-hash"] = "abc"
    other["metadata"] |= {"creationTimestamp": None, "annotations": {}}
    assert rollout.is_same_template(one, other)
    assert not rollout.is_same_template(one, template("nginx"))


def template(image):
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}}
