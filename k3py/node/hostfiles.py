"""A pod's hosts and resolv.conf, as text: pure, but for reading the machine's own."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from k3py.api.objects import Object

MOST_SEARCH_DOMAINS = 32
MOST_NAMESERVERS = 3
_LONGEST_HOSTNAME = 63

# systemd-resolved's stub listens on the machine's loopback, where no pod can ask it.
_RESOLV_CONF = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


@dataclass(frozen=True)
class Resolver:
    """The three kinds of lines of a resolv.conf."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {server}" for server in self.nameservers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


def hostname(pod: Object) -> str:
    """What the pod's containers call themselves."""
    spec = pod["spec"]
    if spec.get("hostnameOverride"):
        return str(spec["hostnameOverride"])
    name = str(spec.get("hostname") or pod["metadata"]["name"])
    return name[:_LONGEST_HOSTNAME].rstrip("-.")


def full_name(pod: Object, cluster_domain: str) -> str:
    """The pod's name in DNS, where it has a subdomain; its hostname otherwise."""
    name, subdomain = hostname(pod), pod["spec"].get("subdomain")
    if not subdomain:
        return name
    return f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}"


def hosts(pod: Object, addresses: Iterable[str], cluster_domain: str, machine: str) -> str:
    """`machine`: the host's own file, for pods on the host's network."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        text = f"# Kubernetes-managed hosts file (host network).\n{machine}"
    else:
        text = (
            "# Kubernetes-managed hosts file.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\n"
            "fe00::2\tip6-allrouters\n"
        )
        short, full = hostname(pod), full_name(pod, cluster_domain)
        names = short if full == short else f"{full}\t{short}"
        text += "".join(f"{address}\t{names}\n" for address in addresses)
    aliases = spec.get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{a['ip']}\t{chr(9).join(a.get('hostnames') or ())}\n" for a in aliases)
    return text


def resolver(pod: Object, machine: Resolver, dns_address: str, cluster_domain: str) -> Resolver:
    """dnsPolicy and dnsConfig, as Kubernetes reads them."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy == "None":
        found = Resolver()
    elif policy == "Default" or not dns_address:
        found = machine
    else:
        namespace = pod["metadata"]["namespace"]
        own = (f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        found = Resolver((dns_address,), _unique((*own, *machine.search)), ("ndots:5",))
    return _extended(found, spec.get("dnsConfig") or {})


def machine_resolver() -> Resolver:
    for path in _RESOLV_CONF:
        with contextlib.suppress(OSError):
            return parse_resolver(path.read_text(errors="replace"))
    return Resolver()


def machine_hosts() -> str:
    with contextlib.suppress(OSError):
        return Path("/etc/hosts").read_text(errors="replace")
    return ""


def parse_resolver(text: str) -> Resolver:
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search" | "domain", *names]:
                search = [n for n in names if n != "."]
            case ["options", *names]:
                options += names
    return Resolver(tuple(servers), tuple(search), tuple(options))


def _extended(found: Resolver, config: Object) -> Resolver:
    servers = _unique((*found.nameservers, *(config.get("nameservers") or ())))
    search = _unique((*found.search, *(config.get("searches") or ())))
    options = {o.partition(":")[0]: o for o in found.options}
    for option in config.get("options") or ():
        value = option.get("value")
        options[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    return Resolver(
        servers[:MOST_NAMESERVERS], search[:MOST_SEARCH_DOMAINS], tuple(options.values())
    )


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
