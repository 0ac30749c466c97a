"""Keys, certificates and who signs them: ECDSA P-256, PEM in and out."""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A Raspberry Pi has no clock of its own, and perhaps no time server: one that is far behind
# must still be served. What an authority signs is valid from when the authority is.
_BACKDATED = timedelta(days=365)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A fresh private key, PEM (PKCS 8)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_authority(name: str, *, now: datetime, life: timedelta) -> Pair:
    """A self-signed certificate authority called `name`."""
    key = new_key()
    private = _private(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, private.public_key(), now - _BACKDATED, now + life)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
    )
    return Pair(_pem(builder.sign(private, hashes.SHA256())), key)


def new_request(key: bytes) -> bytes:
    """A certificate signing request that proves possession of `key`; who it is for, the signer
    decides."""
    private = _private(key)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(private, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def sign_request(
    authority: Pair,
    request: bytes,
    *,
    name: str,
    groups: Iterable[str] = (),
    hosts: Iterable[str] = (),
    now: datetime,
    life: timedelta,
) -> bytes:
    """A certificate for the key of `request`. Raises ValueError for what is no valid request.

    `name` and `groups` become CN and O; with `hosts` (names and addresses) it serves under
    them, without it is a client's.
    """
    csr = x509.load_pem_x509_csr(request)
    if not csr.is_signature_valid:
        raise ValueError("the signing request's signature is wrong")
    public = csr.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("the signing request's key must be an elliptic curve key")
    return _signed(authority, public, name, tuple(groups), tuple(hosts), now, life)


def new_pair(
    authority: Pair,
    *,
    name: str,
    groups: Iterable[str] = (),
    hosts: Iterable[str] = (),
    now: datetime,
    life: timedelta,
) -> Pair:
    """A key and a certificate for it; the arguments are those of `sign_request`."""
    key = new_key()
    public = _private(key).public_key()
    return Pair(_signed(authority, public, name, tuple(groups), tuple(hosts), now, life), key)


def expiry(certificate: bytes) -> datetime:
    """When a PEM certificate ceases to be valid."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def hosts(certificate: bytes) -> frozenset[str]:
    """The names and addresses that a PEM certificate serves under."""
    loaded = x509.load_pem_x509_certificate(certificate)
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(name.value) for name in names)


def is_signed_by(certificate: bytes, authority: bytes) -> bool:
    """Whether `authority` issued `certificate` (both PEM)."""
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority)
        )
    except Exception:  # cryptography raises several kinds, all of which mean no
        return False
    return True


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a PEM certificate as it stands in its file, in hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def _signed(
    authority: Pair,
    public: ec.EllipticCurvePublicKey,
    name: str,
    groups: tuple[str, ...],
    hosts: tuple[str, ...],
    now: datetime,
    life: timedelta,
) -> bytes:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    signer = _private(authority.key)
    builder = (
        _builder(subject, public, issuer.not_valid_before_utc, now + life)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if hosts:
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(alternatives, critical=False)
    return _pem(builder.sign(signer, hashes.SHA256()))


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    loaded = serialization.load_pem_private_key(key, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return loaded


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
