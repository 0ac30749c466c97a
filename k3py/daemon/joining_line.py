"""The one line that makes another machine a node of this server's cluster."""

from pathlib import Path

from k3py.client import kubeconfig
from k3py.cluster.layout import Layout
from k3py.daemon import host
from k3py.daemon.config import ServerConfig


def text(config: ServerConfig) -> str:
    """The command to run on the other machine; empty where there is no server."""
    try:
        token = Layout(data=config.data).token.read_text().strip()
        port = kubeconfig.read(Path(config.write_kubeconfig)).server.rpartition(":")[2]
        address = config.advertise_address or host.node_ip(config.node_ip, config.flannel_iface)
        return f"k3py agent --server https://{address}:{port} --token {token}"
    except (OSError, host.NoAddress, kubeconfig.Unusable):
        return ""
