"""Every option once: its name, default, meaning and rule; the names are k3s's.

Flags, K3PY_* variables, config.yaml keys and the documentation all derive from these fields.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k3py.api import labels, names
from k3py.base import addresses
from k3py.daemon.options import BadConfiguration, option

_URL = re.compile(r"https://[^/\s]+/?")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _network(longest: int) -> Callable[[str], str]:
    """A check for IPv4 networks of which at most `longest` bits are fixed."""

    def check(text: str) -> str:
        found = addresses.network(text) if "/" in text else None
        if found is None:
            raise ValueError(f"must be a network like 10.42.0.0/16, not {text!r}")
        if found.prefixlen > longest:
            raise ValueError(f"{text} is too small: it must be /{longest} or larger")
        return str(found)

    return check


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise ValueError(f"must be an address like 192.168.1.10, not {text!r}") from None


def _domain(text: str) -> str:
    text = text.lower()
    if problem := names.subdomain_problem(text):
        raise ValueError(f"{text!r} cannot be a domain: {problem}")
    return text


def _served_names(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_served_name(item) for item in items)


def _served_name(text: str) -> str:
    """An address or a name (perhaps of a whole domain), as certificates spell it."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if names.subdomain_problem(text.lower().removeprefix("*.")):
        raise ValueError(f"must be a name or an address, not {text!r}")
    return text.lower()


def _node_name(text: str) -> str:
    text = text.lower()
    if text and (problem := names.subdomain_problem(text)):
        raise ValueError(f"{text!r} cannot be a node's name: {problem}")
    return text


def _url(text: str) -> str:
    if text and not _is_server(text):
        raise ValueError(f"must be like https://192.168.1.10:6443, not {text!r}")
    return text.rstrip("/")


def _is_server(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0 and bool(_URL.fullmatch(text))
    except ValueError:  # no port
        return False


def _labels(items: tuple[str, ...]) -> tuple[str, ...]:
    for item in items:
        key, _, value = item.partition("=")
        if not labels.is_key(key) or not labels.is_value(value):
            raise ValueError(f"must be like key=value, not {item!r}")
    return items


def _taints(items: tuple[str, ...]) -> tuple[str, ...]:
    for item in items:
        rest, _, effect = item.rpartition(":")
        if effect not in EFFECTS or not labels.is_key(rest.partition("=")[0]):
            raise ValueError(f"must be like key=value:NoSchedule, not {item!r}")
    return items


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise ValueError(f"must be a port between 1 and 65535, not {number}")
    return number


def _port_range(text: str) -> str:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):
        raise ValueError(f"must be like 30000-32767, not {text!r}")
    return text


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"must be a file mode like 600 or 644, not {text!r}")
    return text


@dataclass(frozen=True)
class AgentConfig:
    """A machine that runs pods."""

    server: str = option(
        "", "The server to join, https://IP:6443.", short="s", env="K3PY_URL", check=_url
    )
    token: str = option(
        "", "The token to join with: the server's node-token, or of 'k3py token create'.", short="t"
    )
    token_file: str = option("", "A file that holds the token.", metavar="FILE")
    data_dir: str = option("/var/lib/k3py", "Where k3py keeps its data.", short="d", metavar="DIR")
    node_name: str = option("", "This node's name (default: the host name).", check=_node_name)
    node_ip: str = option(
        "", "This node's address (default: that of the default route).", check=_address
    )
    node_label: tuple[str, ...] = option((), "A label for this node, key=value.", check=_labels)
    node_taint: tuple[str, ...] = option(
        (), "A taint for this node, key=value:effect.", check=_taints
    )
    flannel_iface: str = option("", "The interface for traffic between nodes (default: node-ip's).")
    debug: bool = option(False, "Log decisions too.")

    @property
    def data(self) -> Path:
        return Path(self.data_dir)

    @property
    def name(self) -> str:
        """The node's name, once and for all. Raises BadConfiguration."""
        name = self.node_name or socket.gethostname().split(".")[0].lower()
        if problem := names.subdomain_problem(name):
            raise BadConfiguration(
                f"this machine is called {name!r}, which cannot be a node's name ({problem}): "
                "give it another with --node-name"
            )
        return name

    def token_text(self) -> str:
        """The token, from --token-file if given, else --token. Raises BadConfiguration."""
        if not self.token_file:
            return self.token
        try:
            return Path(self.token_file).read_text().strip()
        except OSError as wrong:
            raise BadConfiguration(f"--token-file: {wrong}") from wrong


@dataclass(frozen=True)
class ServerConfig(AgentConfig):
    """A machine that runs the control plane, and pods too."""

    bind_address: str = option("0.0.0.0", "The address the API listens on.", check=_address)  # noqa: S104
    https_listen_port: int = option(6443, "The port the API listens on.", check=_port)
    advertise_address: str = option(
        "", "The address the API is reached at (default: node-ip).", check=_address
    )
    tls_san: tuple[str, ...] = option(
        (), "Another name or address the API is reached by.", check=_served_names
    )
    cluster_cidr: str = option("10.42.0.0/16", "The pods' network.", check=_network(24))
    service_cidr: str = option("10.43.0.0/16", "The Services' network.", check=_network(28))
    service_node_port_range: str = option("30000-32767", "NodePorts.", check=_port_range)
    cluster_dns: str = option(
        "", "The DNS server's address (default: the tenth of service-cidr).", check=_address
    )
    cluster_domain: str = option(
        "cluster.local", "The domain of the cluster's names.", check=_domain
    )
    write_kubeconfig: str = option(
        "/etc/k3py/k3py.yaml", "Where to write the kubeconfig.", short="o", metavar="FILE"
    )
    write_kubeconfig_mode: str = option("600", "That file's mode.", check=_mode)
    disable_agent: bool = option(False, "Run no pods on this machine.")

    def __post_init__(self) -> None:
        pods, services = map(ipaddress.IPv4Network, (self.cluster_cidr, self.service_cidr))
        if pods.overlaps(services):
            raise BadConfiguration(
                f"cluster-cidr {pods} and service-cidr {services} overlap: give them apart"
            )
        if ipaddress.ip_address(self.dns_ip) not in services:
            raise BadConfiguration(f"cluster-dns {self.dns_ip} is not in service-cidr {services}")

    @property
    def dns_ip(self) -> str:
        return self.cluster_dns or str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def node_ports(self) -> tuple[int, int]:
        low, _, high = self.service_node_port_range.partition("-")
        return int(low), int(high)
