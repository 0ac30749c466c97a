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
