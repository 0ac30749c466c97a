"""The one line that makes another machine a node of this server's cluster."""

from k3py.client import kubeconfig
from k3py.cluster.layout import Layout
from k3py.daemon import host


def text() -> str:
    """The command to run on the other machine; empty where there is no server."""
    layout = Layout()
    try:
        token = layout.token.read_text().strip()
        port = kubeconfig.read(layout.kubeconfig).server.rpartition(":")[2]
        return f"k3py agent --server https://{host.node_ip()}:{port} --token {token}"
    except (OSError, host.NoAddress, kubeconfig.Unusable):
        return ""
