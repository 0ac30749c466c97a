"""The lab: several nodes, the network between them and the registry they pull from.

All that it knows is on disk, under /var/lib/k3py-lab/NAME, and what it makes on this
machine is named after the lab: so any process can go on where another stopped, and
`down` cleans up after an `up` that was interrupted anywhere.
"""

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from k3py.base import clock, commands, files
from k3py.lab import busybox, cgroups, images, lan, packages, program, registry
from k3py.lab.cgroups import Cgroup
from k3py.lab.disk import Disk
from k3py.lab.lan import Lan
from k3py.lab.node import Node
from k3py.lab.registry import Registry

ROOT = Path("/var/lib/k3py-lab")
LOCKS = Path("/run/lock")
TOKEN_SECONDS = 60.0
READY_SECONDS = 180.0
SERVER_PORT = 6443
NODE_TOKEN = "var/lib/k3py/server/node-token"  # noqa: S105  where it is, not what it is
KUBECONFIG = "k3py/k3py.yaml"
LOG = "var/log/k3py.log"


class LabFailed(Exception):
    """The lab cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a lab is, for as long as it is. `nodes`: how many; `forwarding`: what this
    machine's ip_forward was before; `shown`: where the nodes' k3py lies."""

    number: int
    registry: str
    internet: bool
    nodes: int
    token: str
    forwarding: str
    roles: bool
    command: str = ""
    shown: tuple[str, ...] = ()


class Lab:
    """`say` is told what happens, a line at a time."""

    def __init__(
        self,
        name: str = "lab",
        *,
        root: Path = ROOT,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", name):
            raise LabFailed(f"{name!r} is no name for a lab: lower-case letters, digits and -")
        self.name, self.folder, self._root, self._say = name, root / name, root, say
        self._nodes: dict[int, Node] = {}

    # What there is.

    @property
    def exists(self) -> bool:
        return self._file.exists()

    @property
    def settings(self) -> Settings:
        """Raises LabFailed when there is no such lab."""
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError as missing:
            raise LabFailed("there is no lab here; `k3py lab up` makes one") from missing
        return Settings(**found | {"shown": tuple(found["shown"])})

    @property
    def lan(self) -> Lan:
        return Lan(self.settings.number)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.registry, self.folder / "registry", self._cgroup("registry"))

    @property
    def key(self) -> Path:
        """The private key that root on every node accepts."""
        return self.folder / "id_ed25519"

    @property
    def nodes(self) -> list[Node]:
        return [self._node(number) for number in range(1, self.settings.nodes + 1)]

    def node(self, name: str | int) -> Node:
        """By name or number. Raises LabFailed."""
        for node in self.nodes:
            if name in (node.name, node.number):
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise LabFailed(f"there is no node {name}; there are {names}")

    def kubeconfig(self) -> str:
        """Node 1's, with the address that this machine reaches it at."""
        server = self.node(1)
        try:
            text = (server.folder / "etc" / KUBECONFIG).read_text()
        except FileNotFoundError as missing:
            raise LabFailed("there is no kubeconfig yet: the server has not started") from missing
        return re.sub(r"https://[^:/\s]+:", f"https://{server.address}:", text)

    # What it does.

    def up(
        self,
        nodes: int,
        *,
        internet: bool = True,
        start_k3py: bool = True,
        ready: Callable[["Lab"], Collection[str]] | None = None,
    ) -> None:
        """Make the lab, or start again what of it is off, or add nodes to it.

        With `start_k3py`, node 1 is the server and the others join it; returns when
        `ready(lab)`, by default `kubectl get nodes` on node 1, names them all.
        Raises LabFailed and what the parts raise; `down` then cleans up.
        """
        if not 1 <= nodes <= lan.MOST_NODES:
            raise LabFailed(f"a lab has 1 to {lan.MOST_NODES} nodes")
        with files.locked(LOCKS / f"k3py-lab-{self.name}.lock"):
            packages.load_modules()
            self._settle(nodes, internet=internet, start_k3py=start_k3py)
            self.lan.up(internet=self.settings.internet)
            self.registry.folder.mkdir(exist_ok=True)
            self.registry.start()
            self.registry.push(busybox.image(), busybox.NAME)
            self._make_key()
            if self.settings.roles:
                self._start_cluster(ready or nodes_ready)
            else:
                for node in self.nodes:
                    self._switch_on(node, {})

    def push(self, archive: Path, name: str) -> None:
        """Put an image from a docker-archive or OCI archive into the registry."""
        with images.read(archive) as image:
            self.registry.push(image, name)

    def down(self) -> None:
        """Leave nothing behind: processes, links, rules, cgroups, disks."""
        with files.locked(LOCKS / f"k3py-lab-{self.name}.lock"):
            if self.exists:
                for node in self.nodes:
                    node.power_cut()
            self._cgroup().remove()
            if self.exists:
                self.lan.down()
                self._restore_forwarding()
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.folder.exists():
                raise LabFailed(f"{self.folder} could not be removed; `k3py lab down` tries again")
            with contextlib.suppress(OSError):  # another lab is there
                self._root.rmdir()
            self._nodes.clear()

    # How.

    @property
    def _file(self) -> Path:
        return self.folder / "lab.json"

    def _cgroup(self, part: str = "") -> Cgroup:
        return Cgroup(f"{self.name}/{part}" if part else self.name, cgroups.mounted())

    def _node(self, number: int) -> Node:
        """The same object each time: it knows the process that it started."""
        if number not in self._nodes:
            settings = self.settings
            self._nodes[number] = Node(
                number,
                self.folder / "nodes" / f"pi{number}",
                Lan(settings.number),
                self._cgroup(f"pi{number}"),
                tuple(Path(folder) for folder in settings.shown),
            )
        return self._nodes[number]

    def _settle(self, nodes: int, *, internet: bool, start_k3py: bool) -> None:
        """Decide what the lab is, and write it down before anything is made."""
        running = program.running() if start_k3py else program.Program(())
        if self.exists:
            settings = self.settings
            settings = replace(settings, nodes=max(nodes, settings.nodes))
        else:
            with files.locked(LOCKS / "k3py-lab.lock"):
                number = lan.free_number({other.number for other in _others(self._root)})
                settings = Settings(
                    number=number,
                    registry="",
                    internet=internet,
                    nodes=nodes,
                    token=secrets.token_hex(16),
                    forwarding=lan.FORWARDING.read_text().strip(),
                    roles=start_k3py,
                )
                self._save(settings)
        if settings.roles:
            shown = tuple(str(folder) for folder in running.folders)
            settings = replace(settings, command=running.script(), shown=shown)
        if not settings.registry:
            # The bridge must have its address before a port of it can be tried.
            Lan(settings.number).up(internet=internet)
            gateway = Lan(settings.number).gateway
            settings = replace(settings, registry=f"{gateway}:{registry.free_port(gateway)}")
        self._save(settings)

    def _save(self, settings: Settings) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        files.write_private(self._file, json.dumps(asdict(settings), indent=1))

    def _make_key(self) -> None:
        if not self.key.exists():
            comment = f"k3py-lab-{self.name}"
            key = str(self.key)
            commands.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key)

    def _switch_on(self, node: Node, config: dict[str, str]) -> None:
        settings = self.settings
        role = "" if not settings.roles else "server" if node.number == 1 else "agent"
        if not node.running:
            disk = Disk(
                folder=node.folder,
                name=node.name,
                role=role,
                registry=settings.registry,
                internet=settings.internet,
                resolvers=resolvers() if settings.internet else [self.lan.gateway],
                public_key=self.key.with_suffix(".pub").read_text(),
                command=settings.command,
            )
            disk.make()
            if config:
                disk.configure(config)
            node.power_on()
        self._say(f"{node.name} is on at {node.address}{f', {role}' if role else ''}")

    def _start_cluster(self, ready: Callable[["Lab"], Collection[str]]) -> None:
        server, *agents = self.nodes
        self._switch_on(server, _config(server) | {"token": self.settings.token})
        token = self._join_token(server) if agents else ""
        join = {"server": f"https://{server.address}:{SERVER_PORT}", "token": token}
        for agent in agents:
            self._switch_on(agent, _config(agent) | join)
        wanted = {node.name for node in self.nodes}
        self._say(f"waiting until {len(wanted)} nodes are Ready")
        seen: set[str] = set()
        for _ in self._patiently(READY_SECONDS, self.nodes, "not all nodes became Ready"):
            found = set(ready(self)) & wanted
            for name in sorted(found - seen):
                self._say(f"{name} is Ready")
            seen |= found
            if found == wanted:
                break

    def _join_token(self, server: Node) -> str:
        """The token that pins the cluster's CA, which the server writes once it has one."""
        file = server.folder / "root" / NODE_TOKEN
        for _ in self._patiently(TOKEN_SECONDS, [server], "the server wrote no token"):
            if file.exists():
                break
        return file.read_text().strip()

    def _patiently(self, seconds: float, nodes: list[Node], failure: str) -> Iterator[None]:
        """Again and again until `seconds` are over; then LabFailed with the ends of the logs."""
        deadline = clock.SYSTEM.monotonic() + seconds
        while clock.SYSTEM.monotonic() < deadline:
            yield
            clock.sleep(0.25)
        ends = "".join(f"\n--- {n.name} {LOG}\n{_end(n.folder / 'root' / LOG)}" for n in nodes)
        raise LabFailed(f"{failure} within {seconds:g} s; the lab is left as it is{ends}")

    def _restore_forwarding(self) -> None:
        others = [s for s in _others(self._root) if s.number != self.settings.number]
        if self.settings.forwarding == "0" and not any(s.internet for s in others):
            lan.FORWARDING.write_text("0\n")


def nodes_ready(lab: Lab) -> list[str]:
    """The names of the nodes that kubectl on node 1 calls Ready; none while it cannot tell."""
    try:
        table = lab.node(1).exec("k3py", "kubectl", "get", "nodes", timeout=30)
    except commands.CommandFailed:
        return []
    rows = [line.split() for line in table.splitlines()[1:]]
    return [row[0] for row in rows if len(row) > 1 and row[1].split(",")[0] == "Ready"]


def labs(root: Path = ROOT) -> list[str]:
    """The names of the labs on this machine."""
    return sorted(file.parent.name for file in root.glob("*/lab.json"))


def resolvers() -> list[str]:
    """The name servers that this machine uses, as far as nodes can reach them."""
    for path in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        with contextlib.suppress(FileNotFoundError):
            words = [line.split() for line in Path(path).read_text().splitlines()]
            found = [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]
            found = [f for f in found if not f.startswith("127.") and ":" not in f]
            if found:
                return found[:3]
    return []


def _config(node: Node) -> dict[str, str]:
    return {"node-name": node.name, "node-ip": node.address, "flannel-iface": "eth0"}


def _others(root: Path) -> list[Settings]:
    return [Lab(name, root=root).settings for name in labs(root)]


def _end(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(errors="replace")[-3000:]
    return "(there is none)\n"
