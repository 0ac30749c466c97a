"""What a machine lacks is told with the way to mend it, all at once."""

import socket

import pytest

from k3py.daemon import preflight


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        refused = refusal(address="127.0.0.1", port=port, data=tmp_path)
    assert f"TCP port {port} cannot be listened on: Address already in use" in refused
    assert "choose another with --https-listen-port" in refused


def test_an_address_that_is_not_ours_was_told_as_a_port_that_is_taken(tmp_path):
    refused = refusal(address="198.51.100.7", port=6443, data=tmp_path)
    assert refused.startswith("198.51.100.7 is not an address of this machine. Give --bind-address")


def test_a_machine_that_has_all_is_told_nothing(tmp_path):
    preflight.check_server(address="127.0.0.1", port=free_port(), data=tmp_path, runs_pods=False)
    absent = tmp_path / "not" / "yet"
    preflight.check_server(address="::1", port=free_port(), data=absent, runs_pods=False)


def test_all_obstacles_are_told_at_once():
    obstacles = [preflight.Obstacle("a is missing", "Add a"), preflight.Obstacle("b", "Add b")]
    assert str(preflight.NotReady(obstacles)) == "a is missing. Add a\nb. Add b"


def test_programs_that_are_missing_are_told_by_their_packages(tmp_path):
    podman = tmp_path / "podman"
    podman.touch(0o755)
    assert preflight.missing_packages(str(tmp_path)) == ["crun", "nftables", "conmon", "iproute2"]


def refusal(**more):
    with pytest.raises(preflight.NotReady) as refused:
        preflight.check_server(runs_pods=False, **more)
    return str(refused.value)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
