"""`--useHttps`: the certificate to serve with, the user's own or one made here.

PEM files need nothing but Python; PFX files and a certificate of our own need the package ``cryptography``
(``pip install 'perdure[https]'``), which is imported here and nowhere else.
"""

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.host.options import HttpsOptions, StartFailed

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, GeneralName

OWN_FILE = "https.pem"
VALID_DAYS, RENEW_DAYS = 397, 30
_PEM_MARK = b"-----BEGIN"


def tls_context(options: HttpsOptions, *, folder: Path, names: Collection[str]) -> ssl.SSLContext:
    """What the server encrypts with. ``folder`` keeps the certificate that is made here, for ``names``.

    Raises StartFailed.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    path = options.certificate
    if path is None:
        _load(context, _own_file(folder, names), "")
        return context
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StartFailed(f"The certificate {path} cannot be read: {error.strerror}.", 1) from error
    password = _password(options.password)
    if _PEM_MARK in content:
        _load(context, path, password)
        return context
    with tempfile.TemporaryDirectory(prefix="perdure-") as private:
        pem = Path(private) / "certificate.pem"
        _write_private(pem, _pem_of_pfx(path, content, password))
        _load(context, pem, "")
    return context


def _load(context: ssl.SSLContext, path: Path, password: str) -> None:
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(path, password=password)
    except (OSError, ValueError) as error:
        raise StartFailed(
            f"The certificate {path} cannot be used: {error}. The file holds the certificate and its private key; "
            "--password opens an encrypted one.",
            1,
        ) from error


def _password(said: str | None) -> str:
    if said is None:
        return ""
    try:
        return Path(said).read_text(encoding="utf-8").strip() if Path(said).is_file() else said
    except (OSError, ValueError) as error:
        raise StartFailed(f"The password file {said} cannot be read: {error}.", 1) from error


def _pem_of_pfx(path: Path, content: bytes, password: str) -> bytes:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        raise _package_missing("PFX files are read") from None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, password.encode() or None)
    except ValueError as error:
        raise StartFailed(f"The certificate {path} is neither PEM nor a PFX file that --password opens.", 1) from error
    if key is None or certificate is None:
        raise StartFailed(f"The certificate {path} holds no private key with its certificate.", 1)
    encoding = serialization.Encoding.PEM
    parts = [
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(encoding),
        *(other.public_bytes(encoding) for other in others),
    ]
    return b"".join(parts)


def _own_file(folder: Path, names: Collection[str]) -> Path:
    path = folder / OWN_FILE
    try:
        from cryptography import x509
    except ImportError:
        raise _package_missing("a certificate is made, unless --cert FILE.pem names one,") from None
    try:
        kept = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        kept = None
    if kept is None or not _serves(kept, names):
        os.makedirs(folder, exist_ok=True)
        _write_private(path, _made(names))
    return path


def _serves(certificate: "Certificate", names: Collection[str]) -> bool:
    from cryptography import x509

    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {*named.get_values_for_type(x509.DNSName), *map(str, named.get_values_for_type(x509.IPAddress))}
    return left > datetime.timedelta(days=RENEW_DAYS) and known >= set(names)


def _made(names: Collection[str]) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in sorted(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem) + private


def _general_name(name: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_private(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(new, path)


def _package_missing(what: str) -> StartFailed:
    return StartFailed(f"With --useHttps {what} by the package cryptography: pip install 'perdure[https]'", 1)
