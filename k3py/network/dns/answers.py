"""From a query to an answer, as bytes: the cluster's own names here, all others elsewhere."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import dnslib

from k3py.network.dns import wire
from k3py.network.dns.records import Answer, Record, Zone

# As CoreDNS has it: names of Services may change with every pod.
TTL_SECONDS = 5

_KEPT = 1024
_IN, _ANY = 1, 255
_TRANSFERS = (251, 252)  # IXFR, AXFR
_LONGEST_CHAIN = 8


class Forward(NamedTuple):
    """A query for another resolver, and what makes our answer of its: None where it has none."""

    query: bytes
    complete: Callable[[bytes | None], bytes]


class Answers:
    """To be used by one thread at a time, as the zone is."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._ready: dict[tuple[bytes, bool], bytes] = {}  # the same question again
        self.is_synced = False  # whether the zone knows all Services

    def forget(self) -> None:
        """The zone has changed."""
        self._ready.clear()

    def reply(self, packet: bytes, *, udp: bool) -> bytes | Forward | None:
        """None: what came is no question, and gets no answer."""
        ready = self._ready.get((packet[2:], udp))
        if ready:
            return packet[:2] + ready
        try:
            query = wire.parse_query(packet)
        except wire.Malformed as problem:
            return None if problem.code is None else wire.refusal(packet, problem.code)
        if query.class_ not in (_IN, _ANY) or query.type in _TRANSFERS:
            return wire.refusal(packet, wire.REFUSED)
        found = self._zone.lookup(query.name, _type_name(query.type))
        if found is None:
            return Forward(packet, lambda reply: reply or _failure(packet))
        if not self.is_synced:
            # A name that we do not know yet must not be remembered as one that does not exist.
            return _failure(packet)
        if found.records and found.records[0].type == "CNAME":
            return self._follow(query, found, udp=udp)
        reply = self._packed(query, found, udp=udp)
        if len(found.records) <= 1:  # more are given in another order each time
            self._keep(packet, reply, udp=udp)
        return reply

    def _follow(self, query: wire.Query, found: Answer, *, udp: bool) -> bytes | Forward:
        """The alias, and what it stands for, which may be outside the cluster."""
        type_ = _type_name(query.type)
        chain = found
        for _ in range(_LONGEST_CHAIN):
            if type_ == "CNAME" or not chain.records or chain.records[-1].type != "CNAME":
                break
            step = self._zone.lookup(chain.records[-1].value, type_)
            if step is None:
                return self._follow_outside(query, chain, udp=udp)
            chain = Answer(True, chain.records + step.records, step.additional)
        return self._packed(query, chain, udp=udp)

    def _follow_outside(self, query: wire.Query, chain: Answer, *, udp: bool) -> Forward:
        question = dnslib.DNSRecord.question(chain.records[-1].value, _type_name(query.type))
        return Forward(
            bytes(question.pack()), lambda reply: self._extended(query, chain, reply, udp)
        )

    def _extended(self, query: wire.Query, chain: Answer, reply: bytes | None, udp: bool) -> bytes:
        message = self._message(query, chain)
        try:
            rest = dnslib.DNSRecord.parse(reply) if reply else None
        except Exception:  # dnslib's own, and whatever a hostile answer makes it trip over
            rest = None
        if rest is None:
            message.header.rcode = wire.SERVER_FAILURE
        else:
            message.header.rcode = rest.header.rcode
            message.add_answer(*rest.rr)
        return _fitting(message, query, udp=udp)

    def _packed(self, query: wire.Query, found: Answer, *, udp: bool) -> bytes:
        return _fitting(self._message(query, found), query, udp=udp)

    def _message(self, query: wire.Query, found: Answer) -> dnslib.DNSRecord:
        header = dnslib.DNSHeader(id=query.id, qr=1, aa=1, ra=1, rd=int(query.recursion_desired))
        header.rcode = wire.NO_ERROR if found.exists else wire.NO_SUCH_NAME
        question = dnslib.DNSQuestion(dnslib.DNSLabel(query.labels), query.type, query.class_)
        message = dnslib.DNSRecord(header, q=question)
        message.add_answer(*map(_resource, _shuffled(found.records)))
        message.add_ar(*map(_resource, found.additional))
        if not found.records:
            message.add_auth(_resource(self._zone.soa))
        return message

    def _keep(self, packet: bytes, reply: bytes, *, udp: bool) -> None:
        if len(self._ready) >= _KEPT:
            self._ready.clear()
        self._ready[packet[2:], udp] = reply[2:]


def _failure(packet: bytes) -> bytes:
    return wire.refusal(packet, wire.SERVER_FAILURE)


def _fitting(message: dnslib.DNSRecord, query: wire.Query, *, udp: bool) -> bytes:
    """Packed, and over UDP cut to what the client can take: it then asks again over TCP."""
    if query.has_edns:
        message.add_ar(dnslib.EDNS0(udp_len=query.udp_size))
    packed = bytes(message.pack())
    if not udp or len(packed) <= query.udp_size:
        return packed
    message.ar = [record for record in message.ar if record.rtype == dnslib.QTYPE.OPT]
    packed = bytes(message.pack())
    while len(packed) > query.udp_size and message.rr:
        message.header.tc = 1
        # A record less for each twelve bytes that are too many: no record is smaller.
        excess = max(1, (len(packed) - query.udp_size) // 16)
        message.rr = message.rr[:-excess]
        packed = bytes(message.pack())
    return packed


def _shuffled(records: Sequence[Record]) -> list[Record]:
    """Clients take the first address: each shall be first at times. Aliases stay in front."""
    aliases = [record for record in records if record.type == "CNAME"]
    others = [record for record in records if record.type != "CNAME"]
    random.shuffle(others)
    return aliases + others


def _resource(record: Record) -> dnslib.RR:
    data = getattr(dnslib, record.type)
    match record.type:
        case "SRV":
            port, _, target = record.value.partition(" ")
            rdata = data(0, 100, int(port), target)
        case "SOA":
            # The serial says nothing: nobody can transfer the zone.
            primary, _, contact = record.value.partition(" ")
            rdata = data(primary, contact, (1, 7200, 1800, 86400, TTL_SECONDS))
        case _:
            rdata = data(record.value)
    rtype = getattr(dnslib.QTYPE, record.type)
    return dnslib.RR(record.name, rtype, rdata=rdata, ttl=TTL_SECONDS)


def _type_name(number: int) -> str:
    return str(dnslib.QTYPE.get(number))


def decremented(packet: bytes, places: Sequence[int], seconds: int) -> bytes:
    """An answer as it is `seconds` later."""
    aged = bytearray(packet)
    for at in places:
        (left,) = struct.unpack_from("!I", aged, at)
        struct.pack_into("!I", aged, at, max(0, left - seconds))
    return bytes(aged)
