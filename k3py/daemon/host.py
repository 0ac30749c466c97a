"""What this machine is called and where it can be reached."""

import ipaddress

import netifaces


class NoAddress(Exception):
    """The machine has no usable address; the message says what to give."""


def addresses() -> dict[str, list[str]]:
    """The IPv4 addresses of each interface that is not the loopback, link-local ones left out."""
    found = {}
    for name in netifaces.interfaces():
        entries = netifaces.ifaddresses(name).get(netifaces.AF_INET, ())
        usable = [e["addr"] for e in entries if _is_usable(e["addr"])]
        if usable:
            found[name] = usable
    return found


def node_ip(given: str = "", interface: str = "") -> str:
    """The address other nodes reach this one at.

    `given`, else the first address of `interface`, else of the default route's interface,
    else the only one there is. Raises NoAddress.
    """
    here = addresses()
    if given:
        if not any(given in found for found in here.values()):
            raise NoAddress(
                f"--node-ip {given} is not an address of this machine: it has {_told(here)}"
            )
        return given
    if interface:
        if interface not in here:
            raise NoAddress(
                f"--flannel-iface {interface} has no IPv4 address: there is {_told(here)}"
            )
        return here[interface][0]
    default = netifaces.gateways().get("default", {}).get(netifaces.AF_INET)
    if default and default[1] in here:
        return here[default[1]][0]
    own = {name: found for name, found in here.items() if not name.startswith(_OURS)}
    if len(own) == 1:
        return next(iter(own.values()))[0]
    raise NoAddress(
        "there is no default route to tell this node's address by: give it with --node-ip "
        f"(this machine has {_told(own) or 'no address'})"
    )


# Interfaces that k3py and other container engines make: never the way to another node.
_OURS = ("flannel.", "cni", "k3py", "docker", "podman", "veth", "br-", "virbr")


def _is_usable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local)


def _told(found: dict[str, list[str]]) -> str:
    return ", ".join(f"{name} {' '.join(addresses)}" for name, addresses in found.items())
