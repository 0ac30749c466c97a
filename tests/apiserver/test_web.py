"""Over HTTP: who may come in, what may be sent, and in which form answers go out."""

import gzip

import orjson
import pytest
import yaml

from k3py import kinds
from k3py.apiserver import bodies, rendering

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/version", "/livez/ping"])
def test_anybody_may_ask_how_the_server_is(http, path):
    assert http("GET", path, token="").status_code == 200


@pytest.mark.parametrize("path", ["/", "/api", "/apis", MAPS, "/openapi/v3", "/metrics", "/x"])
def test_everything_else_is_for_who_is_known(http, path):
    answer = http("GET", path, token="")
    assert (answer.status_code, answer.json["reason"]) == (401, "Unauthorized")
    assert http("GET", path, token="wrong").status_code == 401


def test_health_can_be_asked_in_detail(http):
    text = http("GET", "/readyz?verbose", token="").text
    assert text == "[+]ping ok\n[+]store ok\nreadyz check passed\n"
    assert http("GET", "/readyz/none", token="").status_code == 404


def test_who_is_known_may_still_be_refused(http, api, client):
    token = client.create_at(
        kinds.SERVICE_ACCOUNT,
        kinds_key("default", "default"),
        "token",
        {"spec": {"audiences": []}},
    )["status"]["token"]
    answer = http("GET", MAPS, token=token)
    assert answer.status_code == 403
    assert answer.json["message"] == (
        'configmaps is forbidden: User "system:serviceaccount:default:default" cannot list '
        'resource "configmaps" in API group "" in the namespace "default"'
    )
    assert http("GET", "/metrics", token=token).status_code == 403


def kinds_key(namespace, name):
    from k3py.api.objects import Key

    return Key(namespace, name)


def test_an_object_comes_and_goes(http):
    made = http("POST", MAPS, json={"metadata": {"name": "a"}, "data": {"x": "y"}})
    assert (made.status_code, made.json["data"]) == (201, {"x": "y"})
    assert http("GET", f"{MAPS}/a").json == made.json
    assert http("HEAD", f"{MAPS}/a").status_code == 200
    gone = http("DELETE", f"{MAPS}/a")
    assert (gone.status_code, gone.json["status"]) == (200, "Success")
    missing = http("GET", f"{MAPS}/a")
    assert missing.status_code == 404
    assert missing.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "a" not found',
        "reason": "NotFound",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 404,
    }


@pytest.mark.parametrize(
    ("body", "content_type", "code", "message"),
    [
        (b"{", "application/json", 400, "unrecognized"),
        (b"a: b: c", "application/yaml", 400, "error converting YAML to JSON"),
        (b"a: &x [1]\nb: *x\n", "application/yaml", 400, "aliases are not allowed"),
        (b"\xff\xfe\x00", "application/yaml", 400, "YAML"),
        (b"k8s\x00junk", "application/vnd.kubernetes.protobuf", 400, ""),
        (b"<a/>", "application/xml", 415, "accepted media types"),
        (b"", "application/json", 400, "no body"),
        (b"[]", "application/json", 400, "not an object"),
        (b"[" * 100_000, "application/json", 400, ""),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "application/json", 400, ""),
        (b"[" * 5000, "application/yaml", 400, ""),
        (b"- " * 5000 + b"a", "application/yaml", 400, ""),
        (b'{"metadata":{"name":"a"},"data":{"x":"' + b"y" * (3 << 20) + b'"}}',
         "application/json", 413, "Request entity too large: limit is 3145728"),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused(http, body, content_type, code, message):
    answer = http("POST", MAPS, data=body, content_type=content_type)
    assert answer.status_code == code
    assert message in answer.json["message"]


def test_yaml_is_read_as_kubernetes_reads_it():
    text = (
        b"a: 010\nb: 12:30:45\nc: 2026-01-01\nd: 1e3\ne: on\nf: yes\ng: 0o17\nh: 1_000\n1: x\n~: y"
    )
    expected = {"a": 8, "b": "12:30:45", "c": "2026-01-01", "d": 1000.0, "e": True, "f": True}
    found = bodies.decoded(text.removesuffix(b"\n~: y"), "application/yaml")
    assert found == expected | {"g": 15, "h": 1000, "1": "x"}


def test_answers_come_in_yaml_and_as_tables(http):
    http("POST", MAPS, json={"metadata": {"name": "a"}, "data": {"on": "1"}})
    text = http("GET", f"{MAPS}/a", headers={"Accept": "application/yaml"}).text
    assert yaml.safe_load(text)["data"] == {"on": "1"}
    as_table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    found = http("GET", MAPS, headers=as_table).json
    assert found["kind"] == "Table"
    assert found["rows"][0]["cells"][:2] == ["a", 1]
    assert found["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    found = http("GET", f"{MAPS}?includeObject=Object", headers=as_table).json
    assert found["rows"][0]["object"]["kind"] == "ConfigMap"
    partial = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    found = http("GET", f"{MAPS}/a", headers=partial).json
    assert (found["kind"], "data" in found) == ("PartialObjectMetadata", False)
    found = http("GET", MAPS, headers=partial).json
    assert found["kind"] == "PartialObjectMetadataList"
    assert http("GET", MAPS, headers={"Accept": "text/html"}).status_code == 406


def test_a_client_that_prefers_protobuf_takes_json():
    both = "application/vnd.kubernetes.protobuf,application/json"
    assert rendering.form(both).media_type == "application/json"


def test_unknown_fields_are_refused_warned_of_or_dropped(http):
    def create(name, validation):
        query = f"?fieldValidation={validation}" if validation else ""
        return http("POST", MAPS + query, json={"metadata": {"name": name}, "foo": 1})

    assert 'unknown field \\"foo\\"' in create("a", "").headers["Warning"]
    assert "foo" not in create("b", "Ignore").json
    strict = create("c", "Strict")
    assert strict.status_code == 400
    assert strict.json["message"] == 'strict decoding error: unknown field "foo"'


def test_a_watch_is_a_line_for_each_event(http):
    http("POST", MAPS, json={"metadata": {"name": "a"}})
    lines = http("GET", f"{MAPS}?watch=true&timeoutSeconds=0").data.splitlines()
    assert [orjson.loads(line)["type"] for line in lines] == ["ADDED"]


def test_others_can_be_impersonated_by_who_may(http):
    as_jane = {"Impersonate-User": "jane", "Impersonate-Group": "devs"}
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = http("GET", "/api/v1/nodes", headers=as_jane)
    assert answer.status_code == 403
    assert 'User "jane"' in answer.json["message"]
    masters = as_jane | {"Impersonate-Group": "system:masters"}
    info = http("POST", review, json={}, headers=masters).json["status"]["userInfo"]
    assert info == {"username": "jane", "groups": ["system:masters", "system:authenticated"]}


def test_discovery_tells_what_is_served(http):
    assert http("GET", "/api").json["versions"] == ["v1"]
    groups = [g["name"] for g in http("GET", "/apis").json["groups"]]
    assert "apps" in groups
    assert http("GET", "/apis/apps").json["preferredVersion"]["groupVersion"] == "apps/v1"
    names = {r["name"] for r in http("GET", "/api/v1").json["resources"]}
    assert {"pods", "pods/log", "pods/exec", "pods/binding", "serviceaccounts/token"} <= names
    assert http("GET", "/apis/none/v1").status_code == 404
    aggregated = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    found = http("GET", "/apis", headers=aggregated)
    assert found.json["kind"] == "APIGroupDiscoveryList"
    assert "as=APIGroupDiscoveryList" in found.headers["Content-Type"]
    assert http("GET", "/version").json["gitVersion"].startswith("v1.36.")


def test_open_api_is_published(http):
    index = http("GET", "/openapi/v3").json["paths"]
    document = http("GET", index["apis/apps/v1"]["serverRelativeURL"])
    assert "/apis/apps/v1/namespaces/{namespace}/deployments" in document.json["paths"]
    tag = document.headers["ETag"]
    again = http("GET", "/openapi/v3/apis/apps/v1", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert http("GET", "/openapi/v3/apis/none/v1").status_code == 404


def test_a_compressed_body_is_no_surprise(http):
    body = gzip.compress(b'{"metadata":{"name":"a"}}')
    answer = http(
        "POST", MAPS, data=body, content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )  # fmt: skip
    assert answer.status_code == 400


def test_methods_that_do_not_fit_are_refused(http):
    assert http("POST", f"{MAPS}/a", json={}).status_code == 405
    assert http("PUT", MAPS, json={}).status_code == 405
    assert http("PATCH", f"{MAPS}/a", json={}).status_code == 415


def test_bodies_were_read_before_it_was_known_whether_they_may_be_sent(http):
    """Whoever had any credential at all could keep the server busy with large documents."""
    as_jane = {"Impersonate-User": "jane"}
    answer = http("POST", MAPS, data=b"{", content_type="application/json", headers=as_jane)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\nb", 'unknown field "ab"'),
        ("caf\u00e9 \u2603", 'unknown field "caf\u00e9 \u2603"'),
        ('\\"', 'unknown field "\\""'),
    ],
)
def test_a_field_name_broke_the_header_that_warns_of_it(http, name, told):
    answer = http("POST", MAPS, json={"metadata": {"name": "a"}, name: 1})
    assert answer.status_code == 201
    header = answer.headers["Warning"].encode("latin-1").decode()
    assert header == '299 - "' + told.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_warnings_were_as_many_as_the_client_pleased(http):
    unknown = {f"x{number}" * 40: 1 for number in range(1000)}
    answer = http("POST", MAPS, json={"metadata": {"name": "a"}} | unknown)
    assert sum(map(len, answer.headers.getlist("Warning"))) < 8192


REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.mark.parametrize(
    "headers",
    [{"Impersonate-Group": "devs"}, {"Impersonate-Uid": "7"}, {"Impersonate-Extra-Scopes": "x"}],
)
def test_a_request_was_made_in_the_callers_own_name_when_the_others_was_missing(http, headers):
    answer = http("POST", REVIEW, json={}, headers=headers)
    assert answer.status_code == 400
    assert "without impersonating a user" in answer.json["message"]


def test_the_uid_and_the_extras_of_whom_one_impersonates_were_forgotten(http):
    headers = {
        "Impersonate-User": "jane",
        "Impersonate-Uid": "7",
        "Impersonate-Extra-Acme.com%2Fproject": "x",
    }
    info = http("POST", REVIEW, json={}, headers=headers).json["status"]["userInfo"]
    assert info["uid"] == "7"
    assert info["extra"] == {"acme.com/project": ["x"]}


@pytest.mark.parametrize("name", ["system:serviceaccount:a", "system:serviceaccount:a:b:c"])
def test_what_is_no_service_account_passed_for_one(http, name):
    info = http("POST", REVIEW, json={}, headers={"Impersonate-User": name}).json["status"]
    assert info["userInfo"]["groups"] == ["system:authenticated"]


@pytest.mark.parametrize("path", ["/api", "/openapi/v2", "/version", "/livez", "/"])
def test_documents_are_only_read(http, path):
    assert http("POST", path, json={}).status_code == 405


PODS = "/api/v1/namespaces/default/pods"
POD = {
    "metadata": {"name": "p"},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "x"}]},
}


@pytest.mark.parametrize(
    ("spec", "query"),
    [
        ({"terminationGracePeriodSeconds": (1 << 63) - 1}, ""),
        ({}, "?gracePeriodSeconds=9999999999999"),
    ],
)
def test_a_pod_with_a_very_long_grace_could_not_be_deleted(http, spec, query):
    assert http("POST", PODS, json=POD | {"spec": POD["spec"] | spec}).status_code == 201
    answer = http("DELETE", f"{PODS}/p{query}")
    assert (answer.status_code, "deletionTimestamp" in answer.json["metadata"]) == (200, True)


def test_a_negative_limit_gave_pages_without_end(http):
    http("POST", MAPS, json={"metadata": {"name": "a"}})
    found = http("GET", f"{MAPS}?limit=-1").json
    assert "a" in [item["metadata"]["name"] for item in found["items"]]
    assert "continue" not in found["metadata"]


@pytest.mark.parametrize(
    "query",
    ["limit=" + "9" * 30, "timeoutSeconds=" + "9" * 30, "gracePeriodSeconds=" + "9" * 5000],
)
def test_numbers_beyond_64_bits_are_refused(http, query):
    assert http("GET", f"{MAPS}?{query}").status_code == 400


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_times_at_either_end_of_the_calendar_broke_the_server(http, moment):
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"namespace": "default"},
        "lastTimestamp": moment,
    }
    answer = http("POST", "/api/v1/namespaces/default/events", json=event)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "text",
    [
        'metadata: {name: a}\ndata: {"x": "\\ud800"}',
        'metadata: {name: a, annotations: {"\\ud800": "x"}}',
        "metadata: {name: a, generation: 99999999999999999999999999}",
        "metadata: {name: a, generation: 0b" + "1" * 20000 + "}",
        "metadata: {name: a}\ndata: !!set {x}",
        "metadata: {name: a}\ndata: {x: !!binary aGk=}",
        "metadata: {name: a}\ndata: {[1]: x}",
        "metadata: {name: a}\ndata: !!timestamp 2026-13-99",
        "metadata: {name: a}\ndata: {x: !!int ''}",
    ],
)
def test_yaml_that_is_no_json_broke_the_server(http, text):
    assert http("POST", MAPS, data=text, content_type="application/yaml").status_code == 400


TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def test_a_scale_was_printed_as_if_it_were_the_deployment(http):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"] | {"nodeName": ""}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    assert http("POST", DEPLOYMENTS, json={"metadata": {"name": "d"}, "spec": spec}).json["spec"]
    found = http("GET", f"{DEPLOYMENTS}/d/scale", headers=TABLE).json
    assert [c["name"] for c in found["columnDefinitions"]] == [
        "Name", "Desired", "Available", "Age",
    ]  # fmt: skip
    assert found["rows"][0]["cells"][:3] == ["d", 3, 0]


@pytest.mark.parametrize(
    "path",
    [
        REVIEW,
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    ],
)
def test_an_answer_without_a_name_could_not_be_a_table(http, path):
    body = {"spec": {"namespace": "default"}} if "rules" in path else {}
    assert http("POST", path, json=body, headers=TABLE).status_code == 201


def test_kubectl_debug_crashed_on_an_error_without_details(http):
    missing = http("PATCH", f"{PODS}/p/ephemeralcontainers", json={}, content_type=MERGE)
    assert (missing.status_code, missing.json["details"]) == (404, {})


MERGE = "application/merge-patch+json"


def test_all_namespaces_could_be_deleted_with_one_request(http):
    assert http("DELETE", "/api/v1/namespaces").status_code == 405


ACCESS = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"resourceAttributes": {"namespace": "default"}}, "spec.user: Invalid value"),
        (
            {"user": "u", "resourceAttributes": {"namespace": "other"}},
            "spec.resourceAttributes.namespace: Invalid value",
        ),
        ({"user": "u"}, "spec.resourceAttributes: Invalid value"),
    ],
)
def test_a_review_that_asks_nothing_was_refused_without_saying_where(http, spec, told):
    answer = http("POST", ACCESS, json={"spec": spec})
    assert answer.status_code == 422
    assert told in answer.json["message"]


def test_a_review_of_everything_was_refused(http):
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = http("POST", review, json={"spec": {"resourceAttributes": {}}})
    assert answer.json["status"]["allowed"] is True
