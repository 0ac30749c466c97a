"""Config maps, secrets and tokens for pods, asked for as seldom as possible.

What was asked for within the last second is believed: that many pods of one Deployment
start together, and no watch would be faster. Nothing is kept longer than that.
"""

import threading
from dataclasses import dataclass
from datetime import datetime

from k3py.api import times
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.base.clock import SYSTEM, Clock
from k3py.client.client import Client
from k3py.kinds import SERVICE_ACCOUNT

BELIEVED_SECONDS = 1.0
_FORGET_ABOVE = 64


@dataclass(frozen=True)
class Token:
    text: str
    issued: datetime
    expires: datetime

    def is_old(self, now: datetime) -> bool:
        """Whether four fifths of its life, or a day, have passed."""
        life = self.expires - self.issued
        return now >= self.issued + life * 0.8 or (now - self.issued).days >= 1


class ApiSources:
    """Reads through a Client. Safe to call from many threads."""

    def __init__(self, client: Client, *, clock: Clock = SYSTEM) -> None:
        self._client, self._clock = client, clock
        self._lock = threading.Lock()  # guards the two below
        self._asking: dict[tuple[str, Key], threading.Lock] = {}
        self._known: dict[tuple[str, Key], tuple[float, Object]] = {}

    def get(self, kind: Kind, key: Key) -> Object:
        """Raises errors.ApiError. The object is shared: do not change it."""
        place = (kind.plural, key)
        with self._lock:
            asking = self._asking.setdefault(place, threading.Lock())
        with asking:
            with self._lock:
                until, known = self._known.get(place, (0.0, {}))
            if self._clock.monotonic() < until:
                return known
            found = self._client.get(kind, key)
            with self._lock:
                self._tidy()
                self._known[place] = (self._clock.monotonic() + BELIEVED_SECONDS, found)
            return found

    def token(self, pod: Object, audience: str, seconds: int) -> Token:
        """A new token of the pod's service account, bound to the pod."""
        metadata = pod["metadata"]
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        account = Key(metadata["namespace"], pod["spec"].get("serviceAccountName") or "default")
        issued = self._clock.now()
        answer = self._client.create_at(SERVICE_ACCOUNT, account, "token", asked)["status"]
        return Token(answer["token"], issued, times.parse(answer["expirationTimestamp"]))

    def _tidy(self) -> None:
        if len(self._known) > _FORGET_ABOVE:
            now = self._clock.monotonic()
            self._known = {k: v for k, v in self._known.items() if v[0] > now}
            self._asking = {k: v for k, v in self._asking.items() if k in self._known or v.locked()}
