"""Quantities are exact numbers with Kubernetes' suffixes."""

import pytest

from k3py.api import decoding, quantities, schema


@pytest.mark.parametrize(
    ("text", "millis"),
    [("1", 1000), ("500m", 500), ("0.5", 500), ("1k", 1_000_000), ("1e3", 1_000_000), ("1u", 1),
     ("1Ki", 1_024_000), (2, 2000)],
)  # fmt: skip
def test_millis(text, millis):
    assert quantities.millis(text) == millis


@pytest.mark.parametrize("text", ["", "one", "1K", "1 Mi", "1mi", "--1", "1e", "0x10", "Mi"])
def test_what_is_no_quantity_is_refused(text):
    assert not quantities.is_quantity(text)


def test_canonical_text():
    assert quantities.from_bytes(64 << 20) == "64Mi"
    assert quantities.from_millis(1500) == "1500m"
    assert quantities.from_millis(3000) == "3"


def test_a_long_number_that_is_no_quantity_took_for_ever():
    digits = "1" * 300_000
    pod = {"spec": {"containers": [{"resources": {"limits": {"cpu": digits + "!"}}}]}}
    assert decoding.problem(schema.for_kind("v1", "Pod"), pod)
    assert not quantities.is_quantity(digits + "x")
