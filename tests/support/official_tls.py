"""A certificate authority of a site's own, and a server's certificate signed by it."""

import datetime
import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.serve_process import ServeProcess


class SecureServer(ServeProcess):
    """One whose HTTP door speaks TLS too; only the test's own authority is trusted."""

    def __init__(self, folder: Path, root: Path, *arguments: str) -> None:
        super().__init__(folder, *arguments)
        self.http.close()
        self.url = self.url.replace("http://127.0.0.1", "https://localhost")
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=ssl.create_default_context(cafile=root))


def private_authority(folder: Path) -> tuple[Path, Path, Path]:
    """PEM files: the authority's certificate, and certificate and key of ``localhost``."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("private root", root_key.public_key(), "private root", root_key, is_authority=True)
    leaf = _certificate("localhost", key.public_key(), "private root", root_key, is_authority=False)
    paths = folder / "root.pem", folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def _certificate(
    subject: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    signing_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
