"""ConfigMaps and Secrets: keys that are file names, values that fit, and those set in stone."""

import base64

import pytest

from k3py.kinds.core import secret as secrets
from k3py.kinds.core.configmap import CONFIG_MAP
from k3py.kinds.core.secret import SECRET
from tests.kinds.objects import cells, made, problems

KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"


def named(**more):
    return {"metadata": {"name": "x", "namespace": "default"}, **more}


def test_a_config_map_is_counted_and_checked():
    obj = named(data={"a": "1"}, binaryData={"b": "AAEC"})
    assert problems(CONFIG_MAP, obj) == []
    assert cells(CONFIG_MAP, made(CONFIG_MAP, obj))["Data"] == 2
    assert problems(CONFIG_MAP, named(data={"a/b": "1"})) == [
        f'data[a/b]: Invalid value: "a/b": {KEY_RULE}'
    ]
    assert problems(CONFIG_MAP, named(data={"a": "1"}, binaryData={"a": "AAEC"})) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]


def test_a_megabyte_is_the_most():
    assert problems(CONFIG_MAP, named(data={"a": "x" * (1 << 20)})) == []
    assert problems(CONFIG_MAP, named(data={"a": "x" * (1 << 20) + "y"})) == [
        ": Too long: may not be more than 1048576 bytes"
    ]


@pytest.mark.parametrize(("kind", "value"), [(CONFIG_MAP, "1"), (SECRET, "MQ==")])
def test_what_is_immutable_stays(kind, value):
    old = made(kind, named(data={"a": value}, immutable=True))
    assert problems(kind, old, old) == []
    new = named(data={"a": "Mg=="}, immutable=False)
    assert problems(kind, new, old) == [f"immutable: {IMMUTABLE}", f"data: {IMMUTABLE}"]


def test_plain_text_in_a_secret_is_encoded():
    stored = made(SECRET, named(data={"a": "MQ==", "b": "Mg=="}, stringData={"b": "three"}))
    assert "stringData" not in stored
    assert stored["type"] == "Opaque"
    assert secrets.decode(stored) == {"a": b"1", "b": b"three"}
    assert secrets.encode({"b": "three"}) == {"b": stored["data"]["b"]}
    found = cells(SECRET, stored)
    assert (found["Type"], found["Data"]) == ("Opaque", 2)


@pytest.mark.parametrize(
    ("kind", "data", "fields"),
    [
        ("kubernetes.io/tls", {}, ["data[tls.crt]", "data[tls.key]"]),
        ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "bm8="},
         ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="}, []),
        ("kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]),
        ("kubernetes.io/basic-auth", {"password": ""}, []),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]"]),
        ("kubernetes.io/service-account-token", {},
         ["metadata.annotations[kubernetes.io/service-account.name]"]),
        ("my.own/type", {}, []),
    ],
)  # fmt: skip
def test_a_secret_holds_what_its_type_says(kind, data, fields):
    found = SECRET.validate(made(SECRET, named(type=kind, data=data)), None)
    assert [p.field for p in found] == fields


def test_no_secret_is_shown_in_an_error():
    deep = base64.b64encode(b"[" * 100_000).decode()
    obj = named(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": deep})
    (problem,) = problems(SECRET, obj)
    assert "<secret contents redacted>" in problem
    assert "[[" not in problem


def test_the_type_of_a_secret_never_changes():
    old = made(SECRET, named())
    assert problems(SECRET, named(type="my.own/type"), old) == [
        'type: Invalid value: "my.own/type": field is immutable'
    ]
