"""Selectors pick the objects that Kubernetes' own would."""

import time

import pytest

from k3py import kinds
from k3py.api import errors, fields, labels

POD = {"metadata": {"name": "web", "namespace": "home", "labels": {"app": "web", "tier": "front"}}}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app in (api, web),!old", True),
        ("tier notin (front)", False),
        ("missing notin (x)", True),
        ("missing!=x", True),
        ("missing", False),
        ("app", True),
        ("app in(api,web),tier", True),
        ("missing in ()", False),
        ("app = web , tier in ( front , back )", True),
        ("app=", False),
        ("in in (x)", False),
    ],
)
def test_a_label_selector_matches(text, matches):
    assert labels.parse(text).matches(POD["metadata"]["labels"]) is matches


@pytest.mark.parametrize(
    "text",
    [
        "app=we b",
        "=x",
        "a b",
        "app in x",
        "-x=y",
        "app>ten",
        "a,",
        ",a",
        "a in (b",
        "a in b)",
        "a=b=c",
        "!",
        "a!b",
        "a in (b),,c",
        "a,b)",
    ],
)
def test_what_is_no_label_selector_is_refused(text):
    with pytest.raises(errors.BadRequest):
        labels.parse(text)


def test_fields_select_by_name_and_refuse_what_cannot_be_selected():
    assert fields.parse(kinds.POD, "metadata.name=web").matches(kinds.POD, POD)
    assert not fields.parse(kinds.POD, "metadata.name!=web").matches(kinds.POD, POD)
    with pytest.raises(errors.BadRequest, match="field label not supported: spec.shoeSize"):
        fields.parse(kinds.POD, "spec.shoeSize=43")


def test_a_long_selector_took_a_time_that_grew_with_its_square():
    began = time.process_time()
    labels.parse(f"a in ({',' * 200_000})")
    assert time.process_time() - began < 20  # a minute and more, it was


def test_a_selector_had_as_many_requirements_as_fit_into_a_request():
    with pytest.raises(errors.BadRequest, match="at most 500 requirements"):
        labels.parse(",".join(f"a!={n}" for n in range(8000)))
    with pytest.raises(errors.BadRequest, match="at most 500 requirements"):
        fields.parse(kinds.POD, ",".join(f"metadata.name!={n}" for n in range(8000)))
