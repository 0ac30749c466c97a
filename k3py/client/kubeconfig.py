"""Kubeconfig files: which server, and as whom."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k3py.base import files
from k3py.client.remote import RemoteClient


class Unusable(Exception):
    """The file is no kubeconfig, or names nothing to connect to; says what to do about it."""


@dataclass(frozen=True)
class Kubeconfig:
    """One context of a kubeconfig: PEM as bytes, and a certificate or a token."""

    server: str
    ca: bytes
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    namespace: str = "default"
    name: str = "default"

    def client(self, *, timeout: float = 30, agent: str = "k3py") -> RemoteClient:
        return RemoteClient(
            self.server,
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            token=self.token,
            timeout=timeout,
            agent=agent,
        )

    def text(self) -> str:
        """The file, with one cluster, one user and one context of the same name."""
        import yaml

        user = {
            "client-certificate-data": _encoded(self.certificate),
            "client-key-data": _encoded(self.key),
            "token": self.token,
        }
        cluster = {"server": self.server, "certificate-authority-data": _encoded(self.ca)}
        context = {"cluster": self.name, "user": self.name}
        if self.namespace != "default":
            context["namespace"] = self.namespace
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "contexts": [{"name": self.name, "context": context}],
            "current-context": self.name,
            "preferences": {},
            "users": [{"name": self.name, "user": {k: v for k, v in user.items() if v}}],
        }
        return str(yaml.safe_dump(content, sort_keys=False))


def write(path: Path, config: Kubeconfig, *, mode: int = 0o600) -> None:
    files.write(path, config.text(), mode=mode)


def read(path: Path, *, context: str = "") -> Kubeconfig:
    """The current context, or the one named. Raises Unusable."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as missing:
        raise Unusable(
            f"{path}: there is no such kubeconfig; the server's own is its /etc/k3py/k3py.yaml"
        ) from missing
    except PermissionError as forbidden:
        raise Unusable(f"{path}: may not be read by this user; try with sudo") from forbidden
    except OSError as refused:
        raise Unusable(f"{path}: cannot be read: {refused.strerror}") from refused
    except (yaml.YAMLError, UnicodeDecodeError) as broken:
        raise Unusable(f"{path}: is not YAML: {broken}") from broken
    if not isinstance(content, dict):
        raise Unusable(f"{path}: is not a usable kubeconfig")
    try:
        return _parsed(content, context or content["current-context"], path.parent)
    except KeyError as missing:
        raise Unusable(f"{path}: is not a usable kubeconfig: it has no {missing}") from missing
    except (AttributeError, TypeError, ValueError) as wrong:
        raise Unusable(f"{path}: is not a usable kubeconfig: {wrong}") from wrong
    except OSError as missing:
        raise Unusable(f"{path}: names {missing.filename}: {missing.strerror}") from missing


def _parsed(content: Mapping[str, Any], name: str, folder: Path) -> Kubeconfig:
    context = _entry(content, "contexts", "context", name)
    cluster = _entry(content, "clusters", "cluster", context["cluster"])
    user = _entry(content, "users", "user", context["user"])
    token = user.get("token", "")
    if not token and "tokenFile" in user:
        token = (folder / user["tokenFile"]).read_text().strip()
    return Kubeconfig(
        cluster["server"],
        _content(cluster, "certificate-authority", folder),
        _content(user, "client-certificate", folder),
        _content(user, "client-key", folder),
        token,
        context.get("namespace") or "default",
        name,
    )


def _entry(content: Mapping[str, Any], group: str, field: str, name: str) -> Mapping[str, Any]:
    for entry in content.get(group) or ():
        if entry["name"] == name:
            found: Mapping[str, Any] = entry[field]
            return found
    raise ValueError(f"it has no {field} {name!r}")


def _content(entry: Mapping[str, Any], field: str, folder: Path) -> bytes:
    """What `field` holds: inline as base64, or in the file that it names."""
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline)
    return (folder / entry[field]).read_bytes() if entry.get(field) else b""


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
