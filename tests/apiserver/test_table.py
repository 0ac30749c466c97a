"""Tables are what kubectl prints: rows of cells, and ages that are right when they are read."""

from datetime import UTC, datetime, timedelta

from k3py import kinds
from k3py.api.kind import Column, Kind, Since
from k3py.apiserver import table

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CM = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "creationTimestamp": "2025-12-31T23:55:00Z"},
    "data": {"a": "1", "b": "2"},
}


def test_a_table_has_a_name_the_kinds_columns_and_an_age():
    made = table.table(kinds.CONFIG_MAP, [CM], now=NOW, revision=7)
    assert [c["name"] for c in made["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert made["columnDefinitions"][0]["format"] == "name"
    assert made["rows"][0]["cells"] == ["settings", 2, "5m"]
    assert made["metadata"] == {"resourceVersion": "7"}
    assert (made["apiVersion"], made["kind"]) == ("meta.k8s.io/v1", "Table")


def test_rows_bring_metadata_unless_told_otherwise():
    assert row_object(include="Metadata") == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": CM["metadata"],
    }
    assert row_object(include="Object") == CM
    assert row_object(include="None") is None


def test_a_page_says_how_to_go_on():
    made = table.table(kinds.CONFIG_MAP, [], now=NOW, revision=7, continue_="token", remaining=12)
    assert made["metadata"] == {
        "resourceVersion": "7",
        "continue": "token",
        "remainingItemCount": 12,
    }


def test_a_watch_defines_its_columns_once():
    first = table.event(kinds.CONFIG_MAP, CM, now=NOW, first=True)
    then = table.event(kinds.CONFIG_MAP, CM, now=NOW, first=False)
    assert first["columnDefinitions"]
    assert then["columnDefinitions"] is None
    assert first["rows"] == then["rows"]


def test_a_bookmark_is_a_table_without_rows():
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "9"}}
    made = table.event(kinds.CONFIG_MAP, bookmark, now=NOW, first=False)
    assert (made["rows"], made["metadata"]) == ([], {"resourceVersion": "9"})


def test_an_age_may_stand_within_a_text():
    kind = Kind(
        "v1",
        "Thing",
        "things",
        columns=(
            Column("Ended", lambda o: Since(o.get("ended"), "twice ({} ago)", "never")),
            Column("Raw", lambda o: o.get("ended"), "date"),
        ),
    )
    ended = {"metadata": {"name": "x"}, "ended": (NOW - timedelta(hours=3)).isoformat()}
    made = table.table(kind, [ended, {"metadata": {"name": "y"}}], now=NOW, revision=1)
    assert [r["cells"][1:] for r in made["rows"]] == [
        ["twice (3h ago)", "3h"],
        ["never", "<unknown>"],
    ]


def row_object(include):
    made = table.table(kinds.CONFIG_MAP, [CM], include=include, now=NOW, revision=1)
    return made["rows"][0]["object"]
