"""Selectors pick the objects that Kubernetes' own would."""

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
    ],
)
def test_a_label_selector_matches(text, matches):
    assert labels.parse(text).matches(POD["metadata"]["labels"]) is matches


@pytest.mark.parametrize("text", ["app=we b", "=x", "a b", "app in x", "-x=y", "app>ten"])
def test_what_is_no_label_selector_is_refused(text):
    with pytest.raises(errors.BadRequest):
        labels.parse(text)


def test_fields_select_by_name_and_refuse_what_cannot_be_selected():
    assert fields.parse(kinds.POD, "metadata.name=web").matches(kinds.POD, POD)
    assert not fields.parse(kinds.POD, "metadata.name!=web").matches(kinds.POD, POD)
    with pytest.raises(errors.BadRequest, match="field label not supported: spec.shoeSize"):
        fields.parse(kinds.POD, "spec.shoeSize=43")
