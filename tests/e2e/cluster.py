"""A cluster of lab nodes, and the real kubectl that talks to it."""

import base64
import contextlib
import http.client
import json
import os
import pty
import re
import select
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from k3py.base import commands
from k3py.lab.lab import LOG, Lab
from k3py.lab.node import Node

T = TypeVar("T")


@dataclass(frozen=True)
class Cluster:
    """`program` is the newest kubectl of this machine, unless a test sets another."""

    lab: Lab
    program: Path
    kubeconfig: Path
    namespace: str = ""

    @property
    def nodes(self) -> list[Node]:
        return self.lab.nodes

    def node(self, name: str | int) -> Node:
        """With exec, power_cut, power_on, path …"""
        return self.lab.node(name)

    def argv(self, *args: str) -> list[str]:
        """The command line of kubectl with these arguments."""
        where = ["--namespace", self.namespace] if self.namespace else []
        return [str(self.program), "--kubeconfig", str(self.kubeconfig), *where, *args]

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What kubectl prints. Raises CommandFailed."""
        return commands.run(
            *self.argv(*args),
            stdin=stdin,
            timeout=timeout,
            env=None if env is None else {**os.environ, **env},
        )

    def refusal(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl says on its way to a failure that must happen."""
        try:
            said = self.kubectl(*args, stdin=stdin)
        except commands.CommandFailed as failed:
            if failed.code == 124:  # it hung
                raise
            return failed.stderr
        raise AssertionError(f"kubectl {' '.join(args)} succeeded: {said}")

    def get(self, *args: str) -> Any:
        """The object, or the items of the list, that `kubectl get ARGS -o json` prints."""
        found = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found["items"] if found["kind"].endswith("List") else found

    def apply(self, *objects: Mapping[str, Any]) -> str:
        return self.kubectl("apply", "-f", "-", stdin=manifest(*objects))

    def execute(self, pod: str, *command: str, stdin: str | None = None) -> str:
        """What a command in a pod's container prints."""
        interactive = ["-i"] if stdin is not None else []
        return self.kubectl("exec", *interactive, pod, "--", *command, stdin=stdin)

    def is_ready(self, pod: str) -> bool:
        return condition(self.get("pod", pod), "Ready") == "True"

    def wait_ready(self, *pods: str, seconds: float = 60) -> None:
        for pod in pods:
            self.wait_for(lambda pod=pod: self.is_ready(pod), seconds=seconds, what=f"{pod} Ready")

    def wait_phase(self, pod: str, phase: str, *, seconds: float = 60) -> Any:
        """The pod, once it is in that phase."""
        self.wait_for(
            lambda: self.get("pod", pod)["status"].get("phase") == phase,
            seconds=seconds,
            what=f"{pod} {phase}",
        )
        return self.get("pod", pod)

    def roll_out(self, deployment: str, *, seconds: float = 90) -> str:
        return self.kubectl(
            *("rollout", "status", f"deployment/{deployment}", f"--timeout={seconds:g}s"),
            timeout=seconds + 10,
        )

    def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of what has happened to the object of that name."""
        found = self.get("events", "--field-selector", f"involvedObject.name={name}")
        return [(event["reason"], event["message"]) for event in found]

    def wait_for(
        self, ask: Callable[[], T], *, seconds: float = 60, what: str = "", pause: float = 0.2
    ) -> T:
        """Ask until the answer is true, and return it.

        While asking, a failed command or assertion counts as no; the last one is told
        when the time is up.
        """
        deadline = time.monotonic() + seconds
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                answer = ask()
                last = None
            except (commands.CommandFailed, AssertionError, LookupError, OSError) as failure:
                last = failure
            else:
                if answer:
                    return answer
            time.sleep(pause)
        raise AssertionError(f"not within {seconds:g} s: {what or ask}: {last}") from last

    @contextlib.contextmanager
    def running(self, *args: str) -> Iterator["Running"]:
        """A kubectl that goes on running, for as long as the block lasts."""
        process = subprocess.Popen(
            self.argv(*args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Running(process)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @contextlib.contextmanager
    def terminal(self, *args: str) -> Iterator["Terminal"]:
        """kubectl on a terminal of its own, as a person would use it."""
        pid, master = pty.fork()
        if pid == 0:
            os.execve(self.program, self.argv(*args), {**os.environ, "TERM": "xterm"})
        it = Terminal(pid, master)
        try:
            yield it
        finally:
            it.close()

    def agent(self, node: Node) -> list[str]:
        """The arguments, but for the token, with which a machine joins."""
        return [
            "agent",
            "--server",
            f"https://{self.node(1).address}:6443",
            "--node-name",
            node.name,
        ]

    def join(self, node: Node, token: str) -> None:
        """Make a machine one of the cluster's nodes, until it is switched off."""
        background = 'setsid "$@" </dev/null >/var/log/k3py.log 2>&1 &'
        node.exec("sh", "-c", background, "sh", "k3py", *self.agent(node), "--token", token)

        def joined() -> bool:
            said = (node.folder / "root" / LOG).read_text()
            assert "k3py: " not in said, said  # what a failed command ends with
            return condition(self.get("node", node.name), "Ready") == "True"

        self.wait_for(joined, seconds=30, what=f"{node.name} Ready")

    def http(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        admin: bool = True,
        certificate: tuple[Path, Path] | None = None,
    ) -> "Answer":
        """One request without kubectl; `admin`: with the administrator's certificate."""
        with Connection(self, admin=admin, certificate=certificate) as connection:
            return connection.request(method, path, body, headers=headers)

    def in_namespace(self, namespace: str) -> "Cluster":
        return replace(self, namespace=namespace)

    def with_kubectl(self, program: Path) -> "Cluster":
        return replace(self, program=program)

    def with_kubeconfig(self, kubeconfig: Path) -> "Cluster":
        return replace(self, kubeconfig=kubeconfig)

    @property
    def version(self) -> tuple[int, int]:
        """Of the kubectl: distributions have old ones, which lack newer commands."""
        told = json.loads(commands.run(str(self.program), "version", "--client", "-o", "json"))
        client = told["clientVersion"]
        return int(client["major"]), int(re.match(r"\d+", client["minor"])[0])


class Answer(NamedTuple):
    """What the API server answered; `value` is its JSON."""

    code: int
    value: Any


class Connection:
    """A kept connection to the API server that speaks nothing but HTTP."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        admin: bool = True,
        certificate: tuple[Path, Path] | None = None,
        timeout: float = 20,
    ) -> None:
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        server = config["clusters"][0]["cluster"]
        authority = base64.b64decode(server["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        if admin:
            certificate = _certificate(config["users"][0]["user"], cluster.kubeconfig)
        if certificate:
            context.load_cert_chain(*certificate)
        host, _, port = server["server"].removeprefix("https://").partition(":")
        self._connection = http.client.HTTPSConnection(
            host, int(port), context=context, timeout=timeout
        )

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if isinstance(body, Mapping):
            body = json.dumps(body)
        self._connection.request(
            method, path, body, {"Content-Type": "application/json", **(headers or {})}
        )
        response = self._connection.getresponse()
        content = response.read()
        try:
            return Answer(response.status, json.loads(content))
        except ValueError:
            return Answer(response.status, content.decode(errors="replace"))


def _certificate(user: Mapping[str, str], beside: Path) -> tuple[Path, Path]:
    files = beside.with_suffix(".crt"), beside.with_suffix(".key")
    for file, field in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
        content = base64.b64decode(user[field])
        if not file.exists() or file.read_bytes() != content:
            file.touch(mode=0o600)
            file.write_bytes(content)
    return files


class Running:
    """A kubectl in the background. Its output is collected as it comes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(ValueError):  # closed under us
            for line in self.process.stdout:
                self._lines.append(line)

    @property
    def said(self) -> str:
        return "".join(self._lines)

    def wait_said(self, pattern: str, *, seconds: float = 20) -> re.Match[str]:
        """The first match in what it has printed by then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.said):
                return found
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} within {seconds:g} s in: {self.said!r}")

    def say(self, text: str) -> None:
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, *, seconds: float = 20) -> int:
        """Its exit code, once it has ended by itself and all it said is here."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code


class Terminal:
    """The person's side of a terminal."""

    def __init__(self, pid: int, master: int) -> None:
        self._pid, self._master, self.seen = pid, master, ""
        self._code: int | None = None

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, pattern: str, *, seconds: float = 20) -> re.Match[str]:
        """Wait until the screen has shown it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in time in: {self.seen!r}"
            assert self._see(left), f"no {pattern!r} in: {self.seen!r}"
        return found

    def end(self, *, seconds: float = 20) -> int:
        """The exit code, once the program has ended by itself."""
        deadline = time.monotonic() + seconds
        while self._see(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"still running: {self.seen!r}"
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _see(self, seconds: float) -> bool:
        """Read what comes within that time; False when there will be no more, or nothing came."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        os.close(self._master)


def manifest(*objects: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump_all(objects, sort_keys=False))


def condition(obj: Mapping[str, Any], kind: str) -> str:
    """The status of a condition; empty when there is none."""
    found = {c["type"]: c["status"] for c in obj["status"].get("conditions", ())}
    return found.get(kind, "")


def all_ready(cluster: Cluster) -> bool:
    """Whether every node of the lab is Ready."""
    ready = {
        node["metadata"]["name"]
        for node in cluster.get("nodes")
        if condition(node, "Ready") == "True"
    }
    return ready >= {node.name for node in cluster.nodes}
