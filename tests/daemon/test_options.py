"""One definition of an option serves flag, environment and file, in that order."""

import pytest

from k3py.daemon import options
from k3py.daemon.config import AgentConfig, ServerConfig


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("node-name: file\nnode-ip: 10.0.0.1\ndebug: true\n")
    config = build(
        {"node_name": "flag"},
        environment={"K3PY_NODE_NAME": "env", "K3PY_NODE_IP": "10.0.0.2"},
        files=[path],
    )
    assert (config.node_name, config.node_ip, config.debug) == ("flag", "10.0.0.2", True)
    assert config.cluster_cidr == "10.42.0.0/16"


def test_later_files_win_and_a_plus_appends(tmp_path):
    main, beside = tmp_path / "config.yaml", tmp_path / "config.yaml.d"
    beside.mkdir()
    main.write_text("tls-san: [a.example]\nnode-name: one\n")
    (beside / "10.yaml").write_text("tls-san+: b.example\nnode-name: two\n")
    config = build({}, files=options.config_files(main))
    assert config.tls_san == ("a.example", "b.example")
    assert config.node_name == "two"


def test_a_server_s_file_serves_its_agent_too(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("tls-san: x\nnode-name: pi\n")
    found = options.build(AgentConfig, {}, environment={}, files=[path], known=(ServerConfig,))
    assert found.node_name == "pi"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("node-nam: pi", "'node-nam' is not an option; did you mean 'node-name'?"),
        ("https-listen-port: many", "https-listen-port"),
        ("https-listen-port: 70000", "between 1 and 65535"),
        ("cluster-cidr: 10.42.0.0", "must be a network"),
        ("cluster-cidr: 10.42.0.0/25", "too small: it must be /24 or larger"),
        ("service-cidr: 10.43.0.0/30", "too small: it must be /28 or larger"),
        ("https-listen-port: many", "must be a number, not 'many'"),
        ("node-ip: pi", "must be an address like 192.168.1.10, not 'pi'"),
        ("tls-san: [my pi]", "must be a name or an address, not 'my pi'"),
        ("tls-san: küche", "must be a name or an address, not 'küche'"),
        ("cluster-domain: a b", "cannot be a domain"),
        ("server: https://pi:port", "must be like https://"),
        ("node-taint: nonsense", "must be like key=value:NoSchedule"),
        ("node-label: '=x'", "must be like key=value"),
        ("server: 192.168.1.10", "must be like https://"),
        ("debug: perhaps", "must be true or false"),
        ("- a list", "must be lines of 'name: value'"),
        ("a: [", "line 1: is not YAML"),
        ("node-name: [a, b]", "takes one value"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, told):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(options.BadConfiguration, match="config.yaml") as refused:
        build({}, files=[path])
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"service_cidr": "10.42.8.0/24"}, "10.42.0.0/16 and service-cidr 10.42.8.0/24 overlap"),
        ({"cluster_dns": "10.9.9.9"}, "10.9.9.9 is not in service-cidr 10.43.0.0/16"),
    ],
)
def test_networks_that_cannot_be_together_are_told(flags, told):
    with pytest.raises(options.BadConfiguration, match=told):
        build(flags)


def test_names_of_the_server_are_spelled_as_certificates_spell_them():
    assert build({"tls_san": ("Pi.Home", "fe80:0::1")}).tls_san == ("pi.home", "fe80::1")


def test_a_host_name_that_no_node_can_have_is_told_before_anything_starts():
    with pytest.raises(options.BadConfiguration, match=r"'my_pi'.*--node-name"):
        _ = ServerConfig(node_name="my_pi").name


def build(flags, *, environment=None, files=()):
    return options.build(ServerConfig, flags, environment=environment or {}, files=files)
