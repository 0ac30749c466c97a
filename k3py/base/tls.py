"""Certificates that are renewed while they are in use."""

import ssl
from pathlib import Path

from k3py.base.log import Log

log = Log("k3py.tls")


class Identity:
    """A TLS context that shows the certificate which its file holds now.

    The key's file is to be written before the certificate's.
    """

    def __init__(self, context: ssl.SSLContext, certificate: Path, key: Path) -> None:
        self._context, self._certificate, self._key = context, certificate, key
        self._context.load_cert_chain(certificate, key)
        self._loaded = self._version()

    def current(self) -> ssl.SSLContext:
        """The context for the next connection. What cannot be read yet changes nothing."""
        try:
            version = self._version()
            if version != self._loaded:
                self._context.load_cert_chain(self._certificate, self._key)
                self._loaded = version
        except OSError as failure:  # ssl.SSLError among them
            log.warning("certificate not loaded", file=self._certificate, why=failure)
        return self._context

    def _version(self) -> tuple[int, int]:
        found = self._certificate.stat()
        return found.st_mtime_ns, found.st_ino
