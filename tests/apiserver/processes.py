"""A server process to talk to, and how tests talk to it."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from k3py.client.remote import RemoteClient
from tests.apiserver import serving


@dataclass
class Server:
    """A running API server: its port, and the folder with everybody's credentials."""

    folder: Path
    port: int
    process: "subprocess.Popen[str]"

    def wait_listening(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        raise TimeoutError((self.folder / "log").read_text())

    def client(self, user: str = "admin") -> RemoteClient:
        folder = self.folder
        return RemoteClient(
            f"https://127.0.0.1:{self.port}",
            ca=folder / "ca.crt",
            certificate=folder / f"{user}.crt",
            key=folder / f"{user}.key",
        )

    def connect(self, user: str | None = "admin") -> ssl.SSLSocket:
        """A raw connection, as the holder of a certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if user:
            context.load_cert_chain(self.folder / f"{user}.crt", self.folder / f"{user}.key")
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def request(self, text: str, user: str | None = "admin") -> bytes:
        """The answer to raw bytes, until the server closes or says no more."""
        with self.connect(user) as connection:
            connection.settimeout(5)
            with contextlib.suppress(OSError):  # refused before all of it was read
                connection.sendall(text.encode("latin-1"))
            return received(connection)

    def get(self, path: str, user: str | None = "admin") -> tuple[int, bytes]:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = self.request(head, user)
        first, _, body = answer.partition(b"\r\n\r\n")
        return int(first.split()[1]), body

    def kubectl(
        self, *argv: str, user: str = "admin", program: str = "kubectl", stdin: str = "", **options
    ) -> "subprocess.CompletedProcess[str]":
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        return subprocess.run(
            [program, f"--kubeconfig={self.folder}/{user}.kubeconfig", *argv],
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )


@contextlib.contextmanager
def running(folder: Path):
    """A server in a process of its own."""
    port = free_port()
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, serving.__file__, str(folder), str(port)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    server = Server(folder, port, process)
    try:
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()
        server.wait_listening()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            log.close()
    assert "Traceback" not in (folder / "log").read_text()


def received(connection: ssl.SSLSocket, enough: bytes = b"\0never\0") -> bytes:
    """What comes until the other side closes, or until `enough` has come."""
    found = b""
    with contextlib.suppress(OSError):
        while enough not in found and (piece := connection.recv(65536)):
            found += piece
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kubectls() -> list[str]:
    """Every kubectl on this machine, each version once."""
    found = {}
    folders = [*os.environ["PATH"].split(":"), "/usr/lib/google-cloud-sdk/bin"]
    for folder in folders:
        for program in sorted(Path(folder).glob("kubectl*")):
            if not os.access(program, os.X_OK) or not program.is_file():
                continue
            told = subprocess.run(
                [program, "version", "--client", "-o", "json"],
                capture_output=True,
                check=False,
            )
            with contextlib.suppress(ValueError, KeyError):
                version = orjson.loads(told.stdout)["clientVersion"]["gitVersion"]
                found.setdefault(version, str(program))
    return [found[version] for version in sorted(found)]


def newest_kubectl() -> str:
    return shutil.which("kubectl") or (kubectls() or ["kubectl"])[-1]
