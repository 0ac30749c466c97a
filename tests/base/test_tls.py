"""A certificate that was renewed is shown from the next connection on."""

import ssl
from datetime import UTC, datetime, timedelta

from k3py.base import pki, tls
from k3py.cluster import certificates

NOW = datetime.now(UTC)
CA = pki.new_authority("ca", now=NOW, life=timedelta(days=1))


def test_a_renewed_certificate_was_not_shown_until_the_next_start(tmp_path):
    identity = serving(tmp_path, "one.example")
    assert shown(identity) == "one.example"
    certificates.save(tmp_path, "server", made("two.example"))
    assert shown(identity) == "two.example"


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path):
    identity = serving(tmp_path, "one.example")
    (tmp_path / "server.crt").write_text("half of it")
    assert shown(identity) == "one.example"
    (tmp_path / "server.crt").unlink()
    assert shown(identity) == "one.example"
    certificates.save(tmp_path, "server", made("two.example"))
    assert shown(identity) == "two.example"


def serving(folder, name):
    certificates.save(folder, "server", made(name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return tls.Identity(context, folder / "server.crt", folder / "server.key")


def made(name):
    return pki.new_pair(CA, name=name, hosts=(name,), now=NOW, life=timedelta(days=1))


def shown(identity):
    """The name in the certificate that a client is shown; both sides in memory."""
    trust = ssl.create_default_context(cadata=CA.certificate.decode())
    trust.check_hostname = False
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(back, there)
    server = identity.current().wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    ((_, name),) = client.getpeercert()["subjectAltName"]
    return name
