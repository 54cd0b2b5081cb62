"""Certificates for the TLS tests, issued by a root that is generated for each run."""

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Root:
    """A certificate authority. ``pem`` is the certificate that clients have to trust."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    pem: str


def make_root() -> Root:
    """Create a certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test root")])
    built = (
        _builder(name, name, key, NOW - DAY, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_for_signing(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Root(key, name, built.public_bytes(serialization.Encoding.PEM).decode())


def _for_signing() -> x509.KeyUsage:
    """Return the key usage of an authority (RFC 5280, 4.2.1.3; Python 3.13 insists on it)."""
    usages = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{usage: usage == "key_cert_sign" for usage in usages})


def server_context(
    root: Root | None, host: str, *, start: datetime = NOW - DAY, end: datetime = NOW + DAY
) -> ssl.SSLContext:
    """Return a server's TLS context for a host. Without a root, its certificate is self-signed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        path.write_bytes(chain(root, host, start=start, end=end))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
    return context


def chain(
    root: Root | None, host: str, *, start: datetime = NOW - DAY, end: datetime = NOW + DAY
) -> bytes:
    """Return a key and a certificate for a host. Without a root, it is self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    signer, issuer = (key, name) if root is None else (root.key, root.name)
    built = (
        _builder(name, issuer, key, start, end)
        .add_extension(x509.SubjectAlternativeName([_subject(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _key_pem(key) + built.public_bytes(serialization.Encoding.PEM)


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
