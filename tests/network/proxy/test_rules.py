"""The proxy's table is a pure function of the Services, and the kernel takes all of it."""

import random
import re

import pytest

from k3py.api.objects import Key
from k3py.network import nft as nftables
from k3py.network.proxy import rules
from k3py.network.proxy.ports import Endpoint
from tests.network.proxy import examples
from tests.network.proxy.examples import CLUSTER, port

FILES = {
    "no_services.nft": (),
    "balanced.nft": (examples.WEB, examples.ALONE, examples.EMPTY),
    "affinity.nft": (examples.FAITHFUL,),
    "from_outside.nft": (examples.OPEN, examples.GUARDED, examples.CLOSED),
    "local_policies.nft": (examples.NEAR, examples.PRESERVING, examples.FAR),
}


@pytest.mark.parametrize("file", FILES)
def test_the_table_for_these_services(file, golden):
    assert golden(file, table(*FILES[file]).script())


@pytest.mark.kernel
@pytest.mark.parametrize("file", FILES)
def test_the_kernel_takes_it_twice(file, nft):
    nft(table(*FILES[file]).script() * 2)


def test_a_service_without_endpoints_needs_no_rule_of_its_own():
    assert table(examples.EMPTY) == table()


def test_an_external_address_cannot_be_another_services_address():
    thief = port("thief", "10.43.0.30", examples.A1, external_ips=(examples.WEB.cluster_ip,))
    assert list(table(thief).elements["service-ips"]) == ["10.43.0.30 . tcp . 80"]


def test_of_two_services_that_claim_an_address_the_first_has_it():
    first = port("first", "10.43.0.31", examples.A1, external_ips=("192.168.7.7",))
    second = port("second", "10.43.0.32", examples.A2, external_ips=("192.168.7.7",))
    claimed = table(first, second).elements["service-ips"]["192.168.7.7 . tcp . 80"]
    assert claimed == "goto ext/default/first/http"


def test_a_change_of_one_service_touches_no_other():
    fewer = port("web", "10.43.0.20", examples.A1, examples.A2)
    script = nftables.changes(table(*examples.ALL), table(fewer, *examples.ALL[1:]))
    assert script.splitlines() == [
        "flush chain ip k3py-proxy svc/default/web/http",
        "add rule ip k3py-proxy svc/default/web/http ip saddr != 10.42.0.0/16 jump mark-masquerade",
        "add rule ip k3py-proxy svc/default/web/http meta l4proto tcp dnat ip to"
        " numgen random mod 2 map { 0 : 10.42.1.2 . 8080, 1 : 10.42.2.2 . 8080 }",
    ]


def test_a_service_that_goes_leaves_its_chain_empty_until_later():
    before, after = table(examples.WEB), table()
    assert nftables.changes(before, after).splitlines() == [
        "delete element ip k3py-proxy service-ips"
        " { 10.43.0.20 . tcp . 80 : goto svc/default/web/http }",
        "flush chain ip k3py-proxy svc/default/web/http",
    ]
    assert nftables.leftovers(before, after) == ({"svc/default/web/http"}, set())


@pytest.mark.kernel
def test_changes_in_any_order_lead_where_the_whole_would(nft):
    chosen = random.Random(7)
    current = table()
    nft(current.script())
    empty_chains, empty_sets = set(), set()
    for _ in range(40):
        ports = [vary(chosen, p) for p in chosen.sample(examples.ALL, chosen.randrange(10))]
        wanted = table(*ports)
        nft(nftables.changes(current, wanted))
        chains, sets = nftables.leftovers(current, wanted)
        empty_chains = (empty_chains | chains) - wanted.chains.keys()
        empty_sets = (empty_sets | sets) - wanted.maps.keys()
        if chosen.random() < 0.3:
            nft(nftables.deletions("k3py-proxy", empty_chains, empty_sets))
            empty_chains, empty_sets = set(), set()
        current = wanted
    nft(nftables.deletions("k3py-proxy", empty_chains, empty_sets))
    changed = nft("list ruleset")
    nft(current.script())
    assert blocks(changed) == blocks(nft("list ruleset"))


@pytest.mark.kernel
def test_the_longest_names_are_not_too_long(nft):
    longest = port("s" * 63, "10.43.0.40", examples.A1, examples.A2, affinity_seconds=86400)
    longest = longest.__class__(
        **longest.__dict__
        | {"service": Key("n" * 63, "s" * 63), "name": "p" * 63, "node_port": 30000}
    )
    nft(table(longest).script())
    nft(nftables.changes(table(longest), table()))


def table(*ports):
    return rules.merged(rules.frame(CLUSTER), [rules.part([p], CLUSTER) for p in ports])


def vary(chosen, example):
    """The same Service with other endpoints, or other affinity."""
    endpoints = tuple(
        Endpoint(f"10.42.{chosen.choice((1, 2))}.{n}", 8080)
        for n in range(2, 2 + chosen.randrange(4))
    )
    here = tuple(e for e in endpoints if e.address.startswith("10.42.1."))
    seconds = chosen.choice((0, 0, 60, 3600))
    fields = {"everywhere": endpoints, "here": here, "affinity_seconds": seconds}
    return example.__class__(**example.__dict__ | fields)


def blocks(listing):
    """What `nft list` prints, whatever the order of chains and of elements."""
    found = re.findall(r"\t(?:chain|map|set) .*?\n\t}", listing, re.DOTALL)
    return sorted(" ".join(sorted(re.split(r"[\s,]+", block))) for block in found)
