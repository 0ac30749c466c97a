"""Images: whether to pull, with whose secret, and what to say when it fails.

Each image is pulled once at a time however many pods want it, and a failing one is left
alone for longer and longer.
"""

import base64
import binascii
import fnmatch
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from k3py.api.objects import Object, Objects
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.node.runtime.runtime import Credentials, Image, Runtime, RuntimeFailed

PULLS_AT_ONCE = 3
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 10, 300
# An image just seen is there: twenty pods of one Deployment ask within a second.
_TRUSTED_SECONDS = 5.0
_DEFAULT_REGISTRY = "docker.io"
_REFERENCE = re.compile(
    r"(?:(?P<host>(?:[A-Za-z0-9][A-Za-z0-9.-]*[.:][A-Za-z0-9.:-]*|localhost(?::\d+)?))/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_{1,2}|-+|/)[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?"
)

log = Log("k3py.node.images")


class ImageProblem(Exception):
    """No image, and why: `reason` is the container's waiting reason, in Kubernetes' words.

    `seconds`: when it makes sense to ask again.
    """

    def __init__(self, reason: str, message: str, seconds: float) -> None:
        super().__init__(message)
        self.reason, self.seconds = reason, seconds


@dataclass(frozen=True)
class Reference:
    host: str
    path: str
    tag: str
    digest: str

    def __str__(self) -> str:
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.path}" + (f":{self.tag}" if self.tag else "") + digest


@dataclass(frozen=True)
class Pulled:
    """An image that is there. `seconds` is None when nothing had to be pulled."""

    image: Image
    seconds: float | None = None
    waited: float = 0.0


# --- decisions


def parse(name: str) -> Reference | None:
    """What an image name stands for; None when it is none."""
    found = _REFERENCE.fullmatch(name)
    if not found:
        return None
    host, path = found["host"] or _DEFAULT_REGISTRY, found["path"]
    if host in (_DEFAULT_REGISTRY, "index.docker.io"):
        host = _DEFAULT_REGISTRY
        path = path if "/" in path else f"library/{path}"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return Reference(host, path, tag, found["digest"] or "")


def normalized(name: str) -> str:
    """The full name, as statuses show it; what is no name stays as it is."""
    found = parse(name)
    return str(found) if found else name


def pull_policy(container: Object) -> str:
    """Always, IfNotPresent or Never; where unsaid, Always for :latest."""
    said = container.get("imagePullPolicy")
    if said:
        return str(said)
    found = parse(container["image"])
    return "Always" if found and found.tag == "latest" else "IfNotPresent"


def credentials(secrets: Objects, reference: Reference) -> Iterator[Credentials]:
    """What the pod's pull secrets say for this image, the most specific first, without doubles."""
    found: list[tuple[int, Credentials]] = []
    for secret in secrets:
        for place, entry in _entries(secret).items():
            pattern = re.sub(r"^https?://", "", place).removesuffix("/")
            pattern = re.sub(r"/v[12]$", "", pattern)
            if _matches(pattern, reference):
                known = _credentials(entry)
                if known:
                    found.append((len(pattern), known))
    best = sorted(found, key=lambda f: f[0], reverse=True)
    yield from dict.fromkeys(known for _, known in best)


def _entries(secret: Object) -> dict[str, Object]:
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            whole = orjson.loads(base64.b64decode(data[".dockerconfigjson"]))
            return dict(whole.get("auths") or {})
        if ".dockercfg" in data:
            return dict(orjson.loads(base64.b64decode(data[".dockercfg"])))
    except (ValueError, AttributeError):
        log.warning("pull secret is not readable", secret=secret["metadata"]["name"])
    return {}


def _matches(pattern: str, reference: Reference) -> bool:
    host, _, path = pattern.partition("/")
    if host in ("index.docker.io", "registry-1.docker.io"):
        host, path = _DEFAULT_REGISTRY, ""
    if not fnmatch.fnmatchcase(reference.host, host):
        return False
    return not path or f"{reference.path}/".startswith(f"{path}/")


def _credentials(entry: Object) -> Credentials | None:
    token = entry.get("identitytoken") or ""
    if entry.get("username"):
        return Credentials(entry["username"], entry.get("password") or "", token)
    try:
        plain = base64.b64decode(entry.get("auth") or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = plain.partition(":")
    return Credentials(user, password, token) if colon or token else None


# --- effects


class Images:
    """The node's images. Safe to call from many threads."""

    def __init__(self, runtime: Runtime, *, clock: Clock = SYSTEM) -> None:
        self._runtime, self._clock = runtime, clock
        self._slots = threading.BoundedSemaphore(PULLS_AT_ONCE)
        self._lock = threading.Lock()  # guards what follows
        self._busy: dict[str, threading.Lock] = {}
        self._known: dict[str, tuple[float, Image]] = {}
        self._backoff: Backoff[str] = Backoff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
        self._failed: dict[str, tuple[float, str]] = {}
        self._listed: list[Image] | None = None

    def all(self) -> list[Image]:
        """The node's images. The engine is asked again only after a pull, for it may sleep."""
        with self._lock:
            known = self._listed
        if known is None:
            known = self._runtime.images()
            with self._lock:
                self._listed = known
        return known

    def present(self, reference: Reference) -> Image | None:
        """The image, where the node has it. Raises RuntimeFailed."""
        name = str(reference)
        with self._lock:
            known = self._known.get(name)
            if known and self._clock.monotonic() < known[0]:
                return known[1]
        image = self._runtime.image(name)
        with self._lock:
            if image:
                self._known[name] = (self._clock.monotonic() + _TRUSTED_SECONDS, image)
            else:
                self._known.pop(name, None)
        return image

    def forget(self, reference: Reference) -> None:
        """Believe nothing of it any more: the engine said that it is not there."""
        with self._lock:
            self._known.pop(str(reference), None)

    def wait_seconds(self, reference: Reference) -> tuple[float, str]:
        """How long a failing image is to be left alone still, and why it failed."""
        with self._lock:
            until, why = self._failed.get(str(reference), (0.0, ""))
        return max(0.0, until - self._clock.monotonic()), why

    def pull(self, reference: Reference, secrets: Objects) -> Pulled:
        """Raises ImageProblem with what the registry said."""
        name = str(reference)
        asked = self._clock.monotonic()
        with self._lock:
            mine = self._busy.setdefault(name, threading.Lock())
        with mine, self._slots:
            began = self._clock.monotonic()
            known = self._pulled_since(name, asked)
            if known is None:
                self._pull(reference, secrets)
                known = self._runtime.image(name)
            if known is None:
                raise self._failure(name, "the image is not there after it was pulled")
            done = self._clock.monotonic()
            with self._lock:
                self._known[name] = (done + _TRUSTED_SECONDS, known)
                self._failed.pop(name, None)
                self._listed = None
                self._backoff.forget(name)
            return Pulled(known, done - began, done - asked)

    def _pulled_since(self, name: str, asked: float) -> Image | None:
        """The image, when another pod's pull ended while this one waited for its turn."""
        with self._lock:
            until, image = self._known.get(name, (0.0, None))
        return image if until - _TRUSTED_SECONDS > asked else None

    def _pull(self, reference: Reference, secrets: Objects) -> None:
        """With each secret that fits, then with none; the first refusal is the one told."""
        first: RuntimeFailed | None = None
        for known in (*credentials(secrets, reference), None):
            try:
                self._runtime.pull(str(reference), known)
                return
            except RuntimeFailed as refused:
                first = first or refused
        raise self._failure(str(reference), str(first))

    def _failure(self, name: str, why: str) -> ImageProblem:
        with self._lock:
            seconds = self._backoff.next(name)
            self._failed[name] = (self._clock.monotonic() + seconds, why)
        return ImageProblem("ErrImagePull", why, seconds)
