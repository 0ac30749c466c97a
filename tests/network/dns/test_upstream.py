"""What other resolvers say is remembered, for a while, and their addresses are the machine's."""

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3py.network.dns import wire
from k3py.network.dns.upstream import Memory, Resolvers


class Clock:
    seconds = 0.0

    def monotonic(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def test_an_answer_is_remembered_and_ages(clock):
    memory = Memory(clock)
    remember(memory, "example.org", ttl=20)
    clock.seconds = 8
    again = recall(memory, "EXAMPLE.org")
    assert (str(again.q.qname), again.rr[0].ttl) == ("EXAMPLE.org.", 12)
    clock.seconds = 21
    assert recall(memory, "example.org") is None


def test_nothing_is_remembered_for_long(clock):
    memory = Memory(clock)
    remember(memory, "example.org", ttl=86400)
    clock.seconds = 29
    assert recall(memory, "example.org")
    clock.seconds = 31
    assert recall(memory, "example.org") is None


def test_what_does_not_exist_is_remembered_too(clock):
    memory = Memory(clock)
    remember(memory, "nope.example.org", ttl=60, code=wire.NO_SUCH_NAME)
    assert recall(memory, "nope.example.org").header.rcode == wire.NO_SUCH_NAME


@pytest.mark.parametrize("flaw", [{"code": wire.SERVER_FAILURE}, {"ttl": 0}, {"tc": 1}])
def test_what_may_soon_be_otherwise_is_not_remembered(clock, flaw):
    memory = Memory(clock)
    remember(memory, "example.org", **{"ttl": 60} | flaw)
    assert recall(memory, "example.org") is None


def test_another_type_is_another_question(clock):
    memory = Memory(clock)
    remember(memory, "example.org", ttl=60)
    assert recall(memory, "example.org", "AAAA") is None


@given(st.binary(min_size=12, max_size=200))
def test_no_answer_does_harm(reply):
    packet = bytes(dnslib.DNSRecord.question("example.org").pack())
    query = wire.parse_query(packet)
    memory = Memory(Clock())
    memory.keep(packet, query, packet[:2] + b"\x81\x80" + packet[4:] + reply)
    memory.keep(packet, query, reply)
    memory.find(packet, query)


def test_the_machines_resolvers_but_not_ourselves(tmp_path):
    file = tmp_path / "resolv.conf"
    resolvers = Resolvers("10.43.0.10", file)
    assert resolvers.addresses() == []
    file.write_text("search lan\nnameserver 10.43.0.10\nnameserver\nnameserver 192.168.1.1\n")
    assert resolvers.addresses() == ["192.168.1.1"]
    file.write_text("nameserver 192.168.1.1\nnameserver 192.168.1.1\nnameserver fd00::1\n")
    assert resolvers.addresses() == ["192.168.1.1", "fd00::1"]


def remember(memory, name, *, ttl, code=0, tc=0):
    query = dnslib.DNSRecord.question(name)
    query.add_ar(dnslib.EDNS0(udp_len=1232))
    reply = query.reply()
    reply.header.rcode, reply.header.tc = code, tc
    if code == wire.NO_SUCH_NAME:
        soa = dnslib.SOA("ns.example.org", "me.example.org", (1, 2, 3, 4, 5))
        reply.add_auth(dnslib.RR("example.org", dnslib.QTYPE.SOA, rdata=soa, ttl=ttl))
    else:
        reply.add_answer(dnslib.RR(name, rdata=dnslib.A("192.0.2.1"), ttl=ttl))
        reply.add_answer(dnslib.RR(name, rdata=dnslib.A("192.0.2.2"), ttl=ttl + 5))
    reply.add_ar(dnslib.EDNS0(udp_len=1232))
    packet = bytes(query.pack())
    memory.keep(packet, wire.parse_query(packet), bytes(reply.pack()))


def recall(memory, name, type_="A"):
    query = dnslib.DNSRecord.question(name, type_)
    query.add_ar(dnslib.EDNS0(udp_len=1232))
    packet = bytes(query.pack())
    found = memory.find(packet, wire.parse_query(packet))
    assert found is None or found[:2] == packet[:2]
    return found and dnslib.DNSRecord.parse(found)
