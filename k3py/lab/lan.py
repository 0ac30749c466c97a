"""The network that a lab's nodes hang on: a bridge of this machine, and the way out of it."""

import contextlib
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from k3py.base import commands

# 172.30.0.0/24, 172.30.1.0/24 … and, where all of that is taken, 10.230.0.0/24 …
PREFIXES = tuple(f"{net}.{i}" for net in ("172.30", "10.230") for i in range(16))
FIRST_NODE = 10  # pi1 is .11
MOST_NODES = 200
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class NoFreeNetwork(Exception):
    """Every network that a lab could use is routed somewhere else already."""


@dataclass(frozen=True)
class Lan:
    """The address plan of one lab, from its number alone, and what carries it out."""

    number: int

    @property
    def prefix(self) -> str:
        return PREFIXES[self.number]

    @property
    def subnet(self) -> str:
        return f"{self.prefix}.0/24"

    @property
    def gateway(self) -> str:
        """This machine's address in the lab."""
        return f"{self.prefix}.1"

    @property
    def bridge(self) -> str:
        return f"pilan{self.number}"

    @property
    def table(self) -> str:
        return f"k3py_lab_{self.number}"

    def address(self, node: int) -> str:
        return f"{self.prefix}.{FIRST_NODE + node}"

    def mac(self, node: int) -> str:
        """The same in every life of the node: a new one would leave its peers with stale ARP."""
        return f"02:00:ac:1e:{self.number:02x}:{FIRST_NODE + node:02x}"

    def link(self, node: int) -> str:
        """This machine's end of the node's cable."""
        return f"{self.bridge}-pi{node}"

    def up(self, *, internet: bool) -> None:
        if not _exists(self.bridge):
            commands.run("ip", "link", "add", self.bridge, "type", "bridge")
        commands.run("ip", "address", "replace", f"{self.gateway}/24", "dev", self.bridge)
        commands.run("ip", "link", "set", self.bridge, "up")
        self._pass_docker()
        if internet:
            FORWARDING.write_text("1\n")
            commands.run("nft", "-f", "-", stdin=self.masquerade())

    def masquerade(self) -> str:
        """The nftables script that lets nodes reach what this machine reaches."""
        return (
            f"table ip {self.table}\n"
            f"delete table ip {self.table}\n"
            f"table ip {self.table} {{\n"
            f"    chain leaving {{\n"
            f"        type nat hook postrouting priority srcnat\n"
            f"        ip saddr {self.subnet} ip daddr != {self.subnet} masquerade\n"
            f"    }}\n"
            f"}}\n"
        )

    def _pass_docker(self) -> None:
        """Docker drops what it does not forward itself, between nodes of ours too; it leaves
        a chain for exceptions from that."""
        while self._docker("--delete"):
            pass
        self._docker("--insert")

    def _docker(self, operation: str) -> bool:
        """Whether both rules were there to delete, or a chain to insert them into."""
        chain = ("iptables", "--wait", operation, "DOCKER-USER")
        try:
            for side in ("--in-interface", "--out-interface"):
                commands.run(*chain, side, self.bridge, "--jump", "ACCEPT")
        except commands.CommandFailed:
            return False
        return True

    def plug(self, node: int, pid: int) -> None:
        """Give the network namespace of process `pid` an eth0 whose cable ends in the bridge."""
        link = self.link(node)
        self.unplug(node)
        commands.run(
            *("ip", "link", "add", link, "type", "veth"),
            *("peer", "name", "eth0", "address", self.mac(node), "netns", str(pid)),
        )
        commands.run("ip", "link", "set", link, "master", self.bridge, "up")

    def unplug(self, node: int) -> None:
        _delete(self.link(node))

    def down(self) -> None:
        """Remove the bridge, every cable in it and the rules; fine when they are not there."""
        for link in Path("/sys/class/net").glob(f"{self.bridge}-*"):
            _delete(link.name)
        _delete(self.bridge)
        while self._docker("--delete"):
            pass
        with contextlib.suppress(commands.CommandFailed):
            commands.run("nft", "delete", "table", "ip", self.table)


def free_number(taken: set[int]) -> int:
    """The first lab number whose network this machine has no route into.

    `taken`: the numbers of the other labs. Raises NoFreeNetwork.
    """
    routes = json.loads(commands.run("ip", "-json", "-4", "route", "show", "table", "all"))
    return _first_free(taken, [r["dst"] for r in routes if r.get("dst")])


def _first_free(taken: set[int], destinations: list[str]) -> int:
    routed = [ipaddress.ip_network(d, strict=False) for d in destinations if d[0].isdigit()]
    routed = [n for n in routed if n.prefixlen > 0]
    for number, prefix in enumerate(PREFIXES):
        subnet = ipaddress.ip_network(f"{prefix}.0/24")
        if number not in taken and not any(subnet.overlaps(n) for n in routed):
            return number
    raise NoFreeNetwork(
        "no network is free for a lab: routes lead to all of "
        f"{PREFIXES[0]}.0/24 … {PREFIXES[-1]}.0/24 (`ip route` lists them)"
    )


def _delete(link: str) -> None:
    """Fine when it is not there, or goes meanwhile: a dying node takes its end with it."""
    try:
        if _exists(link):
            commands.run("ip", "link", "delete", link)
    except commands.CommandFailed:
        if _exists(link):
            raise


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()
