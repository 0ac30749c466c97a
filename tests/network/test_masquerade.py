"""Pods borrow their node's address only where they leave the cluster."""

import pytest

from k3py.network import masquerade
from k3py.network.ipam import NodeRange

SMALL = NodeRange("10.42.1.0/29")


def test_the_table_of_a_node(golden):
    assert golden("masquerade.nft", masquerade.ruleset(SMALL, "10.42.0.0/16"))


@pytest.mark.kernel
def test_the_kernel_takes_it_twice(nft):
    nft(masquerade.ruleset(NodeRange("10.42.1.0/24"), "10.42.0.0/16") * 2)
