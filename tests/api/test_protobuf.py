"""Protobuf is read and written as Kubernetes does, byte for byte, and garbage is refused.

The vectors beside this file are objects of ours that Kubernetes' own serializer has encoded,
with the JSON that it gives for them.
"""

import base64
import json
import random
from pathlib import Path

import pytest

from k3py import kinds
from k3py.api import decoding, protobuf, schema
from k3py.api.objects import Event

VECTORS = json.loads((Path(__file__).parent / "protobuf_vectors.json").read_text())
NAMES = [vector["json"]["kind"] for vector in VECTORS]


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_what_kubernetes_wrote_is_read(vector):
    assert protobuf.decode(base64.b64decode(vector["proto"])) == without_nulls(vector["json"])


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_what_is_written_is_what_kubernetes_writes(vector):
    assert protobuf.encode(vector["json"]) == base64.b64decode(vector["proto"])


def test_what_is_read_passes_the_schema():
    for vector in VECTORS:
        obj = protobuf.decode(base64.b64decode(vector["proto"]))
        found = schema.for_kind(obj["apiVersion"], obj["kind"])
        assert decoding.problem(found, obj) is None
        assert decoding.unknown(found, obj) == []


def test_every_kind_has_a_protobuf_form():
    for kind in kinds.ALL:
        assert protobuf.knows(kind.api_version, kind.kind), kind
        empty = {"apiVersion": kind.api_version, "kind": kind.kind}
        read = protobuf.decode(protobuf.encode(empty))
        assert (read["apiVersion"], read["kind"]) == (kind.api_version, kind.kind)


def test_delete_options_may_bear_any_groups_name():
    options = {"apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    assert protobuf.decode(protobuf.encode(options)) == options


def test_a_time_that_is_none_stays_away():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert "creationTimestamp" not in protobuf.decode(protobuf.encode(pod))["metadata"]


def test_times_before_1970_survive():
    meta = {"creationTimestamp": "1969-12-31T23:59:59Z"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    assert protobuf.decode(protobuf.encode(pod))["metadata"] == meta


def test_packed_numbers_are_read_too():
    groups = block(4, bytes((1, 2, 0x80, 0x01)))
    pod = protobuf.decode(envelope("v1", "Pod", block(2, block(14, groups))))
    assert pod["spec"]["securityContext"] == {"supplementalGroups": [1, 2, 128]}


def test_unknown_fields_are_skipped_whatever_their_wire_type():
    unknown = b"\xa0\x3f\x05" + b"\xa1\x3f" + bytes(8) + b"\xa5\x3f" + bytes(4) + block(999, b"x")
    assert protobuf.decode(envelope("v1", "Namespace", unknown)) == {
        "apiVersion": "v1",
        "kind": "Namespace",
    }


def test_a_message_that_comes_in_two_parts_is_one():
    name, namespace = block(1, block(1, b"a")), block(1, block(3, b"b"))
    pod = protobuf.decode(envelope("v1", "Pod", name + namespace))
    assert pod["metadata"] == {"name": "a", "namespace": "b"}


def test_a_watch_frame_says_its_length_first():
    event = Event("ADDED", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    frame = protobuf.frame(event)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:].startswith(b"\x0a\x05ADDED\x12")
    assert protobuf.encode(event.object) in frame


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "does not appear to be a protobuf message"),
        (b'{"kind":"Pod"}', "does not appear to be a protobuf message"),
        (b"k8s\x00", 'no kind "" is registered'),
        (b"k8s\x00\x0a\xff", "unexpected EOF"),
        (b"k8s\x00\x0a" + b"\xff" * 10, "integer overflow"),
        (b"k8s\x00\x0b", "illegal wireType 3"),
        (b"k8s\x00\x00", "illegal tag 0"),
    ],
)
def test_garbage_is_refused_with_a_reason(body, message):
    with pytest.raises(ValueError, match=message):
        protobuf.decode(body)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\x08\x01", "wrong wireType for field metadata"),
        (b"\x0a\xff\xff\xff\xff\x07", "unexpected EOF"),
        (b"\x0a\x03\x0a\x01\xff", "can't decode byte"),
        (b"\x0a\x0b\x42\x09\x08" + b"\xff" * 7 + b"\x7f", "."),  # a time after the last year
    ],
)
def test_a_message_that_does_not_fit_is_refused(raw, message):
    with pytest.raises(ValueError, match=message):
        protobuf.decode(envelope("v1", "Pod", raw))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match='no kind "Car" is registered for version "v1"'):
        protobuf.decode(envelope("v1", "Car", b""))
    with pytest.raises(ValueError, match="no protobuf form"):
        protobuf.encode({"apiVersion": "v1", "kind": "Car"})


def test_an_object_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        protobuf.encode({"apiVersion": "v1", "kind": "Pod", "spec": "x"})


def test_no_damage_does_more_than_be_refused():
    """Every truncation and thousands of flipped bytes: a ValueError, or an object."""
    body = base64.b64decode(VECTORS[0]["proto"])
    chance = random.Random(7)
    damaged = [body[:end] for end in range(len(body))]
    for _ in range(2000):
        copy = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            copy[chance.randrange(4, len(copy))] = chance.randrange(256)
        damaged.append(bytes(copy))
    outcomes = {outcome(copy) for copy in damaged}
    assert outcomes <= {dict, ValueError}


def outcome(body):
    try:
        return type(protobuf.decode(body))
    except ValueError:
        return ValueError


def envelope(api_version, kind, raw):
    type_meta = block(1, api_version.encode()) + block(2, kind.encode())
    return b"k8s\x00" + block(1, type_meta) + block(2, raw)


def block(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def without_nulls(value):
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value
