"""Addresses are given out in turn, each to one user at a time."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from k3py.base import addresses

FIRST, LAST = IPv4Address("10.0.0.2"), IPv4Address("10.0.0.9")


def test_the_next_behind_the_latest_is_taken_and_the_end_leads_to_the_beginning():
    assert addresses.next_free(FIRST, LAST, set()) == "10.0.0.2"
    assert addresses.next_free(FIRST, LAST, {"10.0.0.4"}, after="10.0.0.3") == "10.0.0.5"
    assert addresses.next_free(FIRST, LAST, {"10.0.0.2"}, after="10.0.0.9") == "10.0.0.3"
    assert addresses.next_free(FIRST, LAST, set(), after="192.168.0.1") == "10.0.0.2"


@given(st.lists(st.one_of(st.none(), st.integers(0, 7)), max_size=60))
def test_no_address_is_given_out_twice(steps):
    """None takes an address, a number gives the one with that index back."""
    used, latest = [], ""
    for step in steps:
        if step is None:
            found = addresses.next_free(FIRST, LAST, used, after=latest)
            assert (found is None) == (len(used) == 8)
            assert found not in used
            if found:
                used.append(found)
                latest = found
        elif step < len(used):
            used.pop(step)


def test_what_is_no_ipv4_is_none():
    for text in ("", "10.0.0", "10.0.0.256", "::1", "10.0.0.1/24"):
        assert addresses.address(text) is None
    for text in ("", "10.0.0.1/24", "10.0.0.0/33", "::/64"):
        assert addresses.network(text) is None
