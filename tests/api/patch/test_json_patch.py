"""JSON patches do all they say, or are refused as a whole."""

import time

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3py.api import errors
from k3py.api.objects import copy
from k3py.api.patch import json_patch

DOC = {"spec": {"replicas": 1, "args": ["a", "b"]}, "metadata": {"labels": {"a/b": "x"}}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab~/", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("op", "path", "value", "expected"),
    [
        ("replace", "/spec/replicas", 3, {"replicas": 3, "args": ["a", "b"]}),
        ("add", "/spec/args/-", "c", {"replicas": 1, "args": ["a", "b", "c"]}),
        ("add", "/spec/args/0", "c", {"replicas": 1, "args": ["c", "a", "b"]}),
        ("remove", "/spec/args/0", None, {"replicas": 1, "args": ["b"]}),
        ("add", "/spec/paused", True, {"replicas": 1, "args": ["a", "b"], "paused": True}),
    ],
)
def test_an_operation_is_done(op, path, value, expected):
    assert json_patch.apply(DOC, [{"op": op, "path": path, "value": value}])["spec"] == expected


def test_keys_with_slashes_are_escaped():
    patched = json_patch.apply(DOC, [{"op": "remove", "path": "/metadata/labels/a~1b"}])
    assert patched["metadata"] == {"labels": {}}


@pytest.mark.parametrize(
    "op",
    [
        {"op": "test", "path": "/spec/replicas", "value": 2},
        {"op": "test", "path": "/spec/absent", "value": 2},
        {"op": "remove", "path": "/spec/absent"},
        {"op": "replace", "path": "/spec/absent", "value": 1},
        {"op": "add", "path": "/absent/x", "value": 1},
        {"op": "add", "path": "/spec/args/9", "value": 1},
        {"op": "add", "path": "/spec/args/x", "value": 1},
        {"op": "add", "path": "/spec/replicas/x", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "add", "path": 7, "value": 1},
        {"op": "add", "path": None, "value": 1},
        {"op": "add", "path": "/spec/x"},
        {"op": "add"},
        {"op": "dance", "path": "/spec"},
        {"op": ["add"], "path": "/spec"},
        {"path": "/spec"},
        {"op": "copy", "path": "/x"},
        {"op": "copy", "from": 1, "path": "/x"},
        {"op": "copy", "from": "/absent", "path": "/x"},
        {"op": "move", "from": "/spec", "path": "/spec/args"},
        {"op": "replace", "path": "", "value": [1]},
        {"op": "remove", "path": ""},
    ],
)
def test_what_cannot_be_done_is_invalid(op):
    with pytest.raises(errors.Invalid, match="the server rejected our request due to an error"):
        json_patch.apply(DOC, [op])


@pytest.mark.parametrize("ops", [{}, "x", None, [1], [[]], 3])
def test_what_is_no_list_of_operations_is_a_bad_request(ops):
    with pytest.raises(errors.BadRequest):
        json_patch.apply(DOC, ops)


def test_too_many_operations_are_refused():
    with pytest.raises(errors.TooLarge, match="is 10000, got 10001"):
        json_patch.apply(DOC, [{"op": "test", "path": "/spec/replicas", "value": 1}] * 10_001)


def test_copies_that_double_are_refused_before_memory_is_gone():
    ops = [{"op": "add", "path": "/x", "value": {"a": "b" * 1000}}]
    ops += [{"op": "copy", "from": "/x", "path": f"/x/{n}"} for n in range(40)]
    with pytest.raises(errors.TooLarge):
        json_patch.apply({}, ops)


def test_a_result_that_is_too_deep_is_refused():
    ops = [{"op": "add", "path": "/a" * n, "value": {}} for n in range(1, 300)]
    with pytest.raises(errors.Invalid):
        json_patch.apply({}, ops)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab~/", max_size=2), JSON), st.dictionaries(st.just("a"), JSON))
def test_the_difference_of_two_objects_turns_one_into_the_other(old, new):
    before = copy(old)
    assert json_patch.apply(old, jsonpatch.make_patch(old, new).patch) == new
    assert old == before


def test_every_operation_looked_through_the_whole_document():
    document = {"big": [[n] for n in range(20_000)], "small": 0}
    change = [{"op": "replace", "path": "/small", "value": n} for n in range(10_000)]
    began = time.process_time()
    assert json_patch.apply(document, change)["small"] == 9_999
    assert time.process_time() - began < 20  # minutes, it was


def test_a_failed_test_was_explained_in_python():
    with pytest.raises(errors.Invalid) as refused:
        json_patch.apply({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])
    cause = refused.value.details["causes"][0]
    assert (cause["field"], cause["message"]) == ("/a", "testing value /a failed: test failed")
