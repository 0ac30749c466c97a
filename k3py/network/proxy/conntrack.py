"""UDP flows that the kernel would go on sending where nobody answers any more.

A TCP connection ends when its endpoint does. A UDP client that keeps its port keeps its
entry in the connection table, and with it an endpoint that is gone, or none from the time
when there was none yet.
"""

import shutil
from collections.abc import Iterable, Iterator

from k3py.base import commands
from k3py.base.log import Log
from k3py.network.proxy.ports import ServicePort

log = Log("k3py.network")

Filter = tuple[str, ...]


def stale_flows(old: Iterable[ServicePort], new: Iterable[ServicePort]) -> set[Filter]:
    """Which flows to forget, as filters of the conntrack tool, when a Service changes."""
    before = {port.name: port for port in old if port.protocol == "udp"}
    after = {port.name: port for port in new if port.protocol == "udp"}
    found: set[Filter] = set()
    for name, port in before.items():
        kept = after[name].everywhere if name in after else ()
        for address in {e.address for e in set(port.everywhere) - set(kept)}:
            found |= {("--orig-dst", ip, "--dst-nat", address) for ip in _ips(port)}
            if port.node_port:
                found.add(("--orig-port-dst", str(port.node_port), "--dst-nat", address))
    for name, port in after.items():
        if port.everywhere and not (name in before and before[name].everywhere):
            found |= {("--orig-dst", ip, "--orig-port-dst", str(port.port)) for ip in _ips(port)}
            if port.node_port:
                found.add(("--orig-port-dst", str(port.node_port)))
    return found


def forget(flows: Iterable[Filter]) -> None:
    """Delete these flows; where the tool is not installed they end by themselves, in minutes."""
    flows = sorted(flows)
    if flows and not shutil.which("conntrack"):
        log.warning("cannot end old UDP flows: the program conntrack is not installed")
        return
    for flow in flows:
        try:
            commands.run("conntrack", "-D", "-p", "udp", *flow)
        except commands.CommandFailed as failed:
            if failed.code != 1:  # 1: there were none
                log.warning("cannot end old UDP flows", flow=" ".join(flow), why=failed)


def _ips(port: ServicePort) -> Iterator[str]:
    yield port.cluster_ip
    yield from port.external_ips
    yield from port.balancer_ips
