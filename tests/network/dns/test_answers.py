"""Every packet gets the answer it deserves, and none does harm."""

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k3py.api.objects import Key
from k3py.network.backends import Backend
from k3py.network.dns import wire
from k3py.network.dns.answers import Answers, Forward
from k3py.network.dns.records import Zone
from tests.network.services import endpoint, service, slice_

WEB = "web.default.svc.cluster.local"
MANY = "many.default.svc.cluster.local"


def answers():
    zone = Zone("cluster.local", ("10.43.0.0/16",))
    zone.put(Key("default", "web"), Backend(service("web", "10.43.0.20"), []))
    pods = [endpoint(f"10.42.1.{n}") for n in range(1, 201)]
    zone.put(Key("default", "many"), Backend(service("many", "None"), [slice_("many", *pods)]))
    for name, target in (("away", "example.org"), ("near", WEB), ("round", "round")):
        full = f"{target}.default.svc.cluster.local" if target == "round" else target
        made = service(name, "", type="ExternalName", externalName=full)
        zone.put(Key("default", name), Backend(made, []))
    made = Answers(zone)
    made.is_synced = True
    return made


def test_an_address_with_the_question_as_it_was_asked():
    reply = ask("WEB.Default.svc.cluster.LOCAL", "A")
    assert (reply.header.rcode, reply.header.aa, reply.header.ra, reply.header.qr) == (0, 1, 1, 1)
    assert str(reply.q.qname) == "WEB.Default.svc.cluster.LOCAL."
    assert [str(record.rdata) for record in reply.rr] == ["10.43.0.20"]


def test_the_same_question_again_has_its_own_number():
    known = answers()
    for number in (1, 2):
        query = dnslib.DNSRecord.question(WEB, "A")
        query.header.id = number
        reply = dnslib.DNSRecord.parse(known.reply(bytes(query.pack()), udp=True))
        assert (reply.header.id, str(reply.a.rdata)) == (number, "10.43.0.20")


@pytest.mark.parametrize(("name", "code"), [(WEB, 0), ("nope.default.svc.cluster.local", 3)])
def test_no_answer_comes_with_how_long_that_is_true(name, code):
    reply = ask(name, "AAAA")
    assert (reply.header.rcode, reply.rr) == (code, [])
    (soa,) = reply.auth
    assert (soa.rtype, soa.ttl) == (dnslib.QTYPE.SOA, 5)


def test_until_all_services_are_known_no_name_is_denied():
    known = answers()
    known.is_synced = False
    reply = known.reply(bytes(dnslib.DNSRecord.question("nope.cluster.local").pack()), udp=True)
    assert wire.code(reply) == wire.SERVER_FAILURE


def test_too_many_addresses_are_cut_over_udp_and_whole_over_tcp():
    short = ask(MANY, "A")
    assert (short.header.tc, 20 < len(short.rr) < 40) == (1, True)
    assert len(short.pack()) <= 512
    longer = ask(MANY, "A", edns=4096)
    assert (longer.header.tc, 60 < len(longer.rr) < 90) == (1, True)
    assert len(longer.pack()) <= 1232
    whole = ask(MANY, "A", udp=False)
    assert (whole.header.tc, len(whole.rr)) == (0, 200)


def test_addresses_come_in_another_order_each_time():
    known = answers()
    firsts = {str(ask(MANY, "A", known=known).a.rdata) for _ in range(20)}
    assert len(firsts) > 5


def test_an_alias_inside_the_cluster_is_followed():
    reply = ask("near.default.svc.cluster.local", "A")
    assert [str(record.rdata) for record in reply.rr] == [f"{WEB}.", "10.43.0.20"]


def test_an_alias_outside_is_asked_for_elsewhere():
    forward = reply_to("away.default.svc.cluster.local", "A")
    asked = dnslib.DNSRecord.parse(forward.query)
    assert str(asked.q.qname) == "example.org."
    found = asked.reply()
    found.add_answer(dnslib.RR("example.org", rdata=dnslib.A("192.0.2.1"), ttl=60))
    reply = dnslib.DNSRecord.parse(forward.complete(found.pack()))
    assert [str(record.rdata) for record in reply.rr] == ["example.org.", "192.0.2.1"]
    for nothing in (None, b"rubbish"):
        assert wire.code(forward.complete(nothing)) == wire.SERVER_FAILURE


def test_an_alias_of_itself_ends():
    assert len(ask("round.default.svc.cluster.local", "A").rr) < 20


def test_other_names_are_passed_on_as_they_are():
    packet = bytes(dnslib.DNSRecord.question("example.org", "MX").pack())
    forward = answers().reply(packet, udp=True)
    assert forward.query == packet
    assert forward.complete(b"what it says") == b"what it says"
    assert wire.code(forward.complete(None)) == wire.SERVER_FAILURE


def test_what_is_no_query_gets_no_answer_or_a_refusal():
    known, query = answers(), bytes(dnslib.DNSRecord.question(WEB).pack())
    an_answer = query[:2] + b"\x81\x80" + query[4:]
    assert known.reply(b"", udp=True) is None
    assert known.reply(query[:11], udp=True) is None
    assert known.reply(an_answer, udp=True) is None
    update = query[:2] + b"\x28\x00" + query[4:]
    assert wire.code(known.reply(update, udp=True)) == wire.NOT_IMPLEMENTED
    assert wire.code(known.reply(query[:20], udp=True)) == wire.FORMAT_ERROR
    transfer = bytes(dnslib.DNSRecord.question("cluster.local", "AXFR").pack())
    assert wire.code(known.reply(transfer, udp=False)) == wire.REFUSED


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(packet):
    reply = answers().reply(packet, udp=True)
    if isinstance(reply, bytes):
        dnslib.DNSRecord.parse(reply)


@given(st.data())
def test_no_change_of_a_good_query_does_harm(data):
    query = dnslib.DNSRecord.question(WEB, "A")
    query.add_ar(dnslib.EDNS0(udp_len=4096))
    packet = bytearray(query.pack())
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(2, len(packet) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packet)))
    known = answers()
    for damaged in (bytes(packet), bytes(packet[:cut])):
        reply = known.reply(damaged, udp=True)
        assert reply is None or isinstance(reply, Forward) or reply[:2] == damaged[:2]


@given(st.binary(max_size=300))
def test_no_answer_of_a_resolver_does_harm(packet):
    query = wire.parse_query(bytes(dnslib.DNSRecord.question(WEB).pack()))
    assert wire.answers(packet, query, 1) in (True, False)
    forward = reply_to("away.default.svc.cluster.local", "A")
    assert forward.complete(packet)


def reply_to(name, type_, *, edns=0, udp=True, known=None):
    query = dnslib.DNSRecord.question(name, type_)
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=edns))
    return (known or answers()).reply(bytes(query.pack()), udp=udp)


def ask(name, type_, **how):
    return dnslib.DNSRecord.parse(reply_to(name, type_, **how))
