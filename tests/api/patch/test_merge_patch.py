"""Merge patches merge maps, delete with null, and replace the rest (RFC 7386)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3py.api import errors
from k3py.api.objects import copy
from k3py.api.patch import merge_patch


# The examples of RFC 7386, appendix A, whose target and patch are objects.
@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(target, patch, expected):
    assert merge_patch.apply(target, patch) == expected


@pytest.mark.parametrize("patch", [[], "x", None, 1])
def test_what_is_no_object_is_a_bad_request(patch):
    with pytest.raises(errors.BadRequest):
        merge_patch.apply({}, patch)


def test_a_patch_deeper_than_any_object_is_refused():
    patch: dict = {}
    for _ in range(5000):
        patch = {"a": patch}
    with pytest.raises(errors.BadRequest, match="nests deeper"):
        merge_patch.apply({}, patch)


JSON = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", max_size=1), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc", max_size=1), JSON)


@settings(max_examples=100, deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_difference_of_two_objects_turns_one_into_the_other(old, new):
    before = copy(old)
    assert merge_patch.apply(old, difference(old, new)) == new
    assert old == before


def difference(old, new):
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            patch[key] = difference(old[key], value)
        elif old.get(key) != value:
            patch[key] = value
    return patch
