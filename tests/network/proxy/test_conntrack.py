"""Old UDP flows end where their endpoint is gone, and where there was none before."""

from dataclasses import replace

from k3py.network.proxy.conntrack import stale_flows
from tests.network.proxy.examples import A1, A2, ALONE, WEB

DNS = replace(ALONE, everywhere=(A1, A2), node_port=30053)
IP = ("--orig-dst", ALONE.cluster_ip)


def test_flows_to_an_endpoint_that_is_gone_end():
    gone = {(*IP, "--dst-nat", A1.address), ("--orig-port-dst", "30053", "--dst-nat", A1.address)}
    assert stale_flows([DNS], [replace(DNS, everywhere=(A2,))]) == gone


def test_flows_from_when_there_was_no_endpoint_end():
    empty = replace(DNS, everywhere=())
    nowhere = {(*IP, "--orig-port-dst", "53"), ("--orig-port-dst", "30053")}
    assert stale_flows([empty], [DNS]) == stale_flows([], [DNS]) == nowhere


def test_other_flows_go_on():
    assert not stale_flows([DNS, WEB], [DNS])
    assert not stale_flows([replace(DNS, everywhere=(A2,))], [DNS])
