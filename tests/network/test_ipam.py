"""A node's range: the first address for the tunnel, the second for the node, the rest for pods."""

import pytest

from k3py.network.ipam import Exhausted, NodeRange

RANGE = NodeRange("10.42.1.0/24")


def test_the_ends_of_the_range_are_not_for_pods():
    assert (RANGE.tunnel, RANGE.gateway) == ("10.42.1.0", "10.42.1.1")
    assert (RANGE.pods[0], RANGE.pods[-1], len(RANGE.pods)) == ("10.42.1.2", "10.42.1.254", 253)


def test_a_full_range_says_so():
    assert RANGE.take(RANGE.pods[:-1]) == "10.42.1.254"
    with pytest.raises(
        Exhausted, match=r"no pod address is left in this node's range 10\.42\.1\.0"
    ):
        RANGE.take(RANGE.pods)
