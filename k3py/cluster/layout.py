"""Where everything lies on disk; the names are k3s's."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """`data` survives a reboot and a reinstall, `run` neither; `config` is the user's."""

    data: Path = Path("/var/lib/k3py")
    config: Path = Path("/etc/k3py")
    run: Path = Path("/run/k3py")

    @property
    def datastore(self) -> Path:
        return self.data / "server/db/state.db"

    @property
    def server_tls(self) -> Path:
        return self.data / "server/tls"

    @property
    def token(self) -> Path:
        """The token with which nodes join; `node-token` beside it is the same, by k3s's name."""
        return self.data / "server/token"

    @property
    def node_token(self) -> Path:
        return self.data / "server/node-token"

    @property
    def kubeconfig(self) -> Path:
        return self.config / "k3py.yaml"

    @property
    def agent(self) -> Path:
        """The node's own certificates, pods and images."""
        return self.data / "agent"

    @property
    def node_password(self) -> Path:
        """What proves that a node that joins again is the one that joined before."""
        return self.config / "node/password"

    @property
    def server_pid(self) -> Path:
        return self.run / "server.pid"

    @property
    def agent_pid(self) -> Path:
        return self.run / "agent.pid"
