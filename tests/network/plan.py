"""Three tiny nodes for packets to travel between: network namespaces on one bridge.

    lan    192.168.77.0/24   node n is .n
    pods   10.42.n.0/24      of node n, out of 10.42.0.0/16
    vips   10.43.0.0/16      DNS at 10.43.0.10

Each node's network runs in a process of its own inside its namespace, as it would on a
machine of its own; what the API would tell it comes over a pipe.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from k3py.base import commands
from k3py.network.overlay import peers

CLUSTER, SERVICES, DNS, DOMAIN = "10.42.0.0/16", "10.43.0.0/16", "10.43.0.10", "cluster.local"
ROOT = Path(__file__).parents[2]
_COUNT = itertools.count()
TALK = str(Path(__file__).with_name("talk.py"))


def name(n: int) -> str:
    return f"node{n}"


def lan(n: int) -> str:
    return f"192.168.77.{n}"


def node(n: int) -> dict[str, Any]:
    """The Node object of node n, as it is once it has joined."""
    said = peers.annotations(lan(n), peers.mac_address(name(n)))
    return {
        "metadata": {"name": name(n), "annotations": said},
        "spec": {"podCIDR": f"10.42.{n}.0/24"},
    }


class Lan:
    """Namespaces <prefix>1 … on a bridge in <prefix>0; `close` leaves nothing behind."""

    def __init__(self, nodes: int) -> None:
        self.prefix = f"k3pytest{os.getpid()}x{next(_COUNT)}n"
        self.nodes = nodes
        self.addresses: dict[str, str] = {}  # of pods
        self._made: list[str] = []
        self._processes: list[NodeProcess] = []
        self._servers: list[subprocess.Popen[str]] = []
        self.resolv_conf = f"/tmp/{self.prefix}-resolv.conf"
        Path(self.resolv_conf).write_text(f"nameserver {DNS}\nnameserver {lan(253)}\n")
        self._add(0)
        self.ip(
            0,
            "link add br0 type bridge",
            "link set br0 up",
            "addr add 192.168.77.254/24 dev br0",
            "addr add 192.168.77.253/24 dev br0",
        )
        for n in range(1, nodes + 1):
            self._add(n)
            self.ip(0, f"link add port{n} type veth peer name eth0 netns {self.netns(n)}")
            self.ip(0, f"link set port{n} master br0 up")
            self.ip(n, f"addr add {lan(n)}/24 dev eth0", "link set eth0 up")

    def netns(self, n: int | str) -> Path:
        return Path(f"/run/netns/{self.prefix}{n}")

    def ip(self, n: int | str, *lines: str) -> None:
        commands.run("ip", "-n", f"{self.prefix}{n}", "-batch", "-", stdin="\n".join(lines) + "\n")

    def run(self, n: int | str, *argv: str, stdin: str | None = None) -> str:
        """What a program prints that runs in node n, or in the pod of that name."""
        return commands.run("ip", "netns", "exec", f"{self.prefix}{n}", *argv, stdin=stdin)

    def popen(self, n: int | str, *argv: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["ip", "netns", "exec", f"{self.prefix}{n}", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def start(self, n: int) -> "NodeProcess":
        process = NodeProcess(self, n)
        self._processes.append(process)
        return process

    def serve(self, server: str, address: str, *ports: int, where: int | str | None = None) -> None:
        """A program in the pod of that name, or in `where`, that says who it is and who asked."""
        program = (sys.executable, "-S", TALK, "serve", server, address, *map(str, ports))
        process = self.popen(server if where is None else where, *program)
        self._servers.append(process)
        self.addresses[server] = address
        assert process.stdout
        assert process.stdout.readline() == "serving\n"

    def ask(self, n: int | str, protocol: str, host: str, port: int = 8080, size: int = 4) -> str:
        """What somebody in node n, or in a pod, is answered."""
        program = (sys.executable, "-S", TALK, "ask", protocol, host, str(port), str(size))
        return self.run(n, *program).strip()

    def pod_namespace(self, pod: str) -> Path:
        self._add(pod)
        return self.netns(pod)

    def close(self) -> None:
        Path(self.resolv_conf).unlink()
        for process in self._processes:
            process.kill()
        for server in self._servers:
            _end(server)
        for made in self._made:
            with contextlib.suppress(commands.CommandFailed):
                commands.run("ip", "netns", "delete", made)

    def _add(self, suffix: int | str) -> None:
        netns = f"{self.prefix}{suffix}"
        commands.run("ip", "netns", "add", netns)
        self._made.append(netns)
        self.ip(suffix, "link set lo up")


class NodeProcess:
    """The NetworkAgent of one node, in its namespace."""

    def __init__(self, lan_: Lan, n: int) -> None:
        self.n = n
        self._lan = lan_
        program = (sys.executable, "-m", "tests.network.node_process", str(n), lan_.resolv_conf)
        self._process = lan_.popen(n, *program)

    def call(self, verb: str, *arguments: Any) -> Any:
        """Run one of node_process' verbs there."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "process ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def tell(self, plural: str, *objects: dict[str, Any]) -> None:
        """All objects of a kind, as the API has them from now on."""
        self.call("tell", plural, objects)

    def attach(self, pod: str) -> str:
        """A new pod's address; its namespace is called after it."""
        netns = self._lan.pod_namespace(pod)
        address: str = self.call("attach", pod, str(netns))[0]
        return address

    def kill(self) -> None:
        _end(self._process)


@contextlib.contextmanager
def running(nodes: int) -> Iterator[tuple[Lan, list[NodeProcess]]]:
    """A LAN with so many nodes that know each other and are ready."""
    lan_ = Lan(nodes)
    try:
        processes = [lan_.start(n) for n in range(1, nodes + 1)]
        for process in processes:
            _introduce(process, nodes)
        yield lan_, processes
    finally:
        lan_.close()


def restart(lan_: Lan, n: int, *, nodes: int) -> NodeProcess:
    """The agent of node n again, after it was killed."""
    process = lan_.start(n)
    _introduce(process, nodes)
    return process


def eventually(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `holds` is true."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "still not so"
        time.sleep(0.05)


def _introduce(process: NodeProcess, nodes: int) -> None:
    process.tell("nodes", *(node(n) for n in range(1, nodes + 1)))
    process.tell("services")
    process.tell("endpointslices")
    process.call("wait_ready")


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
