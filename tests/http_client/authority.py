"""Certificates for tests, made when they are needed."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Authority"]

Fault = Literal["none", "expired", "other-name", "self-signed"]


class Authority:
    """A certificate authority of its own.

    Args:
        folder: For its files.

    Attributes:
        file: Its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test Authority")])
        made = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = dict.fromkeys(
            ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement"], False
        )
        usage |= {"encipher_only": False, "decipher_only": False, "digital_signature": True}
        made = made.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = made.add_extension(own, critical=False)
        self._certificate = made.sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        days: int = 1,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(issuer or self._name, name, key, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=days))
        )

    def client(self) -> ssl.SSLContext:
        """Return what a client trusts that knows this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))

    def server(self, fault: Fault = "none") -> ssl.SSLContext:
        """Return the context of a server at `localhost`, 127.0.0.1 and ::1, or a faulty one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        names: list[x509.GeneralName] = [x509.DNSName("elsewhere.example")]
        if fault != "other-name":
            names = [x509.DNSName("localhost"), x509.DNSName("named.test")]
            names += [x509.IPAddress(ip_address(one)) for one in ("127.0.0.1", "::1")]
        builder = self._builder(
            name,
            key.public_key(),
            days=-1 if fault == "expired" else 1,
            issuer=name if fault == "self-signed" else None,
        )
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        if fault != "self-signed":
            builder = builder.add_extension(issuer, critical=False)
        made = builder.sign(key if fault == "self-signed" else self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"server-{fault}.pem"
        file.write_bytes(private + made.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context
