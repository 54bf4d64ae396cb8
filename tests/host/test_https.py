"""`--useHttps`: with a certificate of the user's, PEM or PFX, or with one made at the first start."""

import datetime
import json
import ssl
import stat
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from perdure.host.certificates import tls_context
from perdure.host.options import HttpsOptions, StartFailed
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess

NAMES = ["localhost", "127.0.0.1"]
APP = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="links")
@app.durable_client_input(client_name="client")
async def links(req, client):
    return client.create_check_status_response(req, await client.start_new("nothing"))

@app.orchestration_trigger(context_name="context")
def nothing(context):
    return "done"
    yield
"""


class Encrypted(HostProcess):
    """A host that is spoken to over HTTPS, its certificate checked once it is there."""

    def launch(self) -> None:
        self.url = self.url.replace("http:", "https:")
        self.http.close()
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=False)
        super().launch()


def made(folder: Path, password: bytes | None, kind: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=2)).sign(key, hashes.SHA256())
    )  # fmt: skip
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path = folder / f"own.{kind}"
    if kind == "pfx":
        path.write_bytes(pkcs12.serialize_key_and_certificates(b"own", key, certificate, None, encryption))
    else:
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, pkcs8, encryption))
    return path


@pytest.mark.parametrize("kind", ["pem", "pfx"])
@pytest.mark.parametrize("password", [None, "secret", "file"])
def test_an_own_certificate(tmp_path: Path, kind: str, password: str | None):
    path = made(tmp_path, b"secret" if password else None, kind)
    if password == "file":
        (tmp_path / "password.txt").write_text("secret\n")
        password = str(tmp_path / "password.txt")
    context = tls_context(HttpsOptions(path, password), folder=tmp_path, names=NAMES)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not (tmp_path / "https.pem").exists()


@pytest.mark.parametrize("kind", ["pem", "pfx"])
def test_a_wrong_password(tmp_path: Path, kind: str):
    path = made(tmp_path, b"secret", kind)
    for password in ("wrong", None):
        with pytest.raises(StartFailed, match=f"{path}.*--password") as raised:
            tls_context(HttpsOptions(path, password), folder=tmp_path, names=NAMES)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN NONSENSE-----", b"\x30\x80 no pfx"])
def test_a_file_that_is_no_certificate(tmp_path: Path, content: bytes):
    (tmp_path / "x.pfx").write_bytes(content)
    with pytest.raises(StartFailed, match=r"x\.pfx"):
        tls_context(HttpsOptions(tmp_path / "x.pfx"), folder=tmp_path, names=NAMES)


def test_a_made_certificate_is_kept_while_it_serves(tmp_path: Path):
    tls_context(HttpsOptions(), folder=tmp_path, names=NAMES)
    first = (tmp_path / "https.pem").read_bytes()
    assert stat.S_IMODE((tmp_path / "https.pem").stat().st_mode) == 0o600
    tls_context(HttpsOptions(), folder=tmp_path, names=NAMES[:1])
    assert (tmp_path / "https.pem").read_bytes() == first
    tls_context(HttpsOptions(), folder=tmp_path, names=[*NAMES, "192.0.2.7"])
    assert (tmp_path / "https.pem").read_bytes() != first


def test_a_host_serves_https_and_commands_reach_it(tmp_path: Path):
    http = {"hsts": {"isEnabled": True, "maxAge": "10.00:00:00"}, "customHeaders": {"X-Own": "said"}}
    settings = json.dumps({"version": "2.0", "extensions": {"http": http}})
    app = write_app(tmp_path / "app", APP, head="", host_json=settings)
    with Encrypted(app, "--useHttps") as host:
        trust = ssl.create_default_context(cafile=str(app / ".perdure" / "https.pem"))
        with httpx.Client(base_url=host.url, verify=trust) as trusting:
            answer = trusting.get("/api/links")
            assert answer.headers["strict-transport-security"] == "max-age=864000"
            ping = trusting.get("/admin/host/ping")
            assert ping.headers.get_list("strict-transport-security") == ["max-age=864000"]
            assert ping.headers.get_list("x-own") == answer.headers.get_list("x-own") == ["said"]
            assert answer.headers["location"].startswith(f"https://127.0.0.1:{host.port}/")
            assert trusting.get(answer.headers["location"]).status_code in (200, 202)
        assert f"https://localhost:{host.port}/api/links" in host.log()
        with pytest.raises(httpx.TransportError):
            httpx.get(host.url.replace("https:", "http:"))
        listed = run_perdure("durable", "get-instances", "--script-root", app, "--json")
        assert listed.code == 0, listed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--cert", "x.pem"], "--useHttps"), (["--useHttps", "--cert", "nowhere.pem"], "nowhere.pem")],
)
def test_starts_that_cannot_be(tmp_path: Path, arguments: list[str], says: str):
    app = write_app(tmp_path / "app", APP, head="")
    ended = run_perdure("start", app, *arguments)
    assert ended.code in (1, 2)
    assert len(ended.error_lines) <= 3
    assert says in ended.err
