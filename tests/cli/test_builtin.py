"""The built-in kubectl prints what the real one prints, and says in a line what is wrong."""

import click
import pytest
import yaml

from k3py import kinds
from k3py.cli.kubectl import builtin, describe, printing, session
from k3py.testing.client import FakeClient

COLUMNS = [{"name": "Name"}, {"name": "Ready"}, {"name": "Node", "priority": 1}]


def test_a_table_hides_what_is_for_wide_only():
    assert printing.table(pods("web", "db"), wide=False, namespaces=False).splitlines() == [
        "NAME   READY",
        "web    1/1",
        "db     1/1",
    ]
    assert "pi1" in printing.table(pods("web"), wide=True, namespaces=False)


def test_a_table_of_all_namespaces_begins_with_them():
    (head, row) = printing.table(pods("web"), wide=False, namespaces=True).splitlines()
    assert (head.split(), row.split()) == (["NAMESPACE", "NAME", "READY"], ["home", "web", "1/1"])


def test_names_carry_their_kind_where_there_are_several():
    shown = printing.table(pods("web"), wide=False, namespaces=True, prefix="pod/")
    assert shown.splitlines()[1].split() == ["home", "pod/web", "1/1"]


def test_tables_of_one_kind_are_one():
    assert len(printing.joined([pods("a"), pods("b"), pods()])["rows"]) == 2
    assert printing.table(pods(), wide=False, namespaces=False) == ""


def test_a_name_carries_the_group_of_its_kind():
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert printing.objects([web, POD], "name", single=False) == "deployment.apps/web\npod/web"


def test_yaml_of_one_is_the_object_and_of_several_a_list():
    assert yaml.safe_load(printing.objects([POD], "yaml", single=True))["kind"] == "Pod"
    listed = yaml.safe_load(printing.objects([POD, POD], "yaml", single=False))
    assert (listed["kind"], len(listed["items"])) == ("List", 2)
    assert "managedFields" not in printing.objects([POD], "json", single=True)


@pytest.mark.parametrize(("text", "number"), [("10s", 10), ("5m", 300), ("2h", 7200)])
def test_a_while_is_told_in_seconds_minutes_or_hours(text, number):
    assert printing.seconds(text) == number


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("pods",), [(kinds.POD, "")]),
        (("po", "web", "db"), [(kinds.POD, "web"), (kinds.POD, "db")]),
        (("deploy/web", "svc/web"), [(kinds.DEPLOYMENT, "web"), (kinds.SERVICE, "web")]),
        (("Deployment.apps",), [(kinds.DEPLOYMENT, "")]),
        (("no,ns",), [(kinds.NODE, ""), (kinds.NAMESPACE, "")]),
        (
            ("all",),
            [(k, "") for k in (kinds.POD, kinds.SERVICE, kinds.DEPLOYMENT, kinds.REPLICA_SET)],
        ),
    ],
)
def test_words_name_things_as_kubectl_names_them(words, found):
    assert session.targets(words) == found


def test_what_nobody_knows_is_said():
    with pytest.raises(click.ClickException, match='have a resource type "bogus"'):
        session.targets(("bogus",))
    with pytest.raises(click.ClickException, match="which resource"):
        session.targets(())


def test_describing_called_a_users_own_label_by_a_name_of_ours():
    text = describe.text(FakeClient(), kinds.DEPLOYMENT, DEPLOYMENT)
    assert "    Match Labels:\n      app: web" in text
    assert "Node Selector:\n    disk: ssd" in text


def test_describing_a_secret_tells_only_how_long_its_values_are():
    secret = {"metadata": {"name": "s", "namespace": "home"}, "data": {"pass-word": "c2VjcmV0"}}
    text = describe.text(FakeClient(), kinds.SECRET, secret)
    assert "pass-word: 6 bytes" in text
    assert "c2VjcmV0" not in text


def test_describing_ends_with_the_events_oldest_first():
    client = FakeClient(
        (kinds.EVENT, event("Started", "2030-01-01T11:59:00Z")),
        (kinds.EVENT, event("Pulled", "2030-01-01T11:58:00Z", count=3)),
    )
    (head, *rows) = describe.text(client, kinds.POD, POD).partition("Events:\n")[2].splitlines()
    assert head.split() == ["Type", "Reason", "Age", "From", "Message"]
    assert [row.split()[1] for row in rows] == ["Pulled", "Started"]
    assert "(x3)" in rows[0]
    assert describe.text(FakeClient(), kinds.POD, POD).endswith("Events:       <none>")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "is not YAML"),
        ("a: 1", "without kind is no object"),
        ("just text", "without kind is no object"),
    ],
)
def test_a_file_that_is_no_manifest_ended_in_a_traceback(tmp_path, content, told):
    path = tmp_path / "web.yaml"
    path.write_text(content)
    with pytest.raises(click.ClickException, match=told):
        builtin._read((str(path),))


def test_an_object_whose_metadata_is_none_ended_in_a_traceback():
    for metadata in ("x", None, {}):
        with pytest.raises(click.ClickException, match=r"without metadata\.name"):
            builtin._identity(None, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


def test_files_folders_and_lists_are_read_in_order(tmp_path):
    (tmp_path / "b.yaml").write_text("kind: B\n---\n---\nkind: C\n")
    (tmp_path / "a.json").write_text('{"kind": "List", "items": [{"kind": "A"}]}')
    (tmp_path / "c.txt").write_text("no: manifest")
    assert [obj["kind"] for obj in builtin._read((str(tmp_path),))] == ["A", "B", "C"]


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "home", "uid": "u1", "managedFields": []},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "home", "uid": "u2"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}, "nodeSelector": {"disk": "ssd"}},
}


def pods(*names):
    rows = [
        {"cells": [name, "1/1", "pi1"], "object": {"metadata": {"name": name, "namespace": "home"}}}
        for name in names
    ]
    return {"columnDefinitions": COLUMNS, "rows": rows}


def event(reason, when, *, count=1):
    return {
        "metadata": {"name": reason.lower(), "namespace": "home"},
        "involvedObject": {"name": "web", "uid": "u1"},
        "type": "Normal",
        "reason": reason,
        "message": "of late",
        "lastTimestamp": when,
        "count": count,
    }
