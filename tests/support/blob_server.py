"""The few requests of Azure's blob service that our stores make, answered by this machine."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "c2VjcmV0"
ACCOUNT = "testing"


@dataclass(frozen=True)
class Blob:
    """What is stored."""

    data: bytes
    headers: dict[str, str]


@dataclass
class BlobServer:
    """``with BlobServer() as server``: containers, each with its blobs by name."""

    containers: dict[str, dict[str, Blob]] = field(default_factory=dict[str, dict[str, Blob]])

    @property
    def url(self) -> str:
        """Where the account is."""
        return f"http://127.0.0.1:{self._server.server_port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """The account and its key."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url}"

    def __enter__(self) -> "BlobServer":
        containers = self.containers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                container, name = self._place()
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self._query().get("restype") == ["container"]:
                    if container in containers:
                        self._answer(409, "ContainerAlreadyExists")
                    else:
                        containers[container] = {}
                        self._answer(201)
                elif container not in containers:
                    self._answer(404, "ContainerNotFound")
                elif self.headers.get("if-none-match") == "*" and name in containers[container]:
                    self._answer(409, "BlobAlreadyExists")
                else:
                    headers = {key.lower(): value for key, value in self.headers.items()}
                    containers[container][name] = Blob(body, headers)
                    self._answer(201)

            def do_GET(self) -> None:
                container, name = self._place()
                blob = containers.get(container, {}).get(name)
                if blob is None:
                    self._answer(404, "BlobNotFound")
                    return
                size = len(blob.data)
                self.send_response(206 if size else 200)
                self.send_header("Content-Length", str(size))
                self.send_header("Content-Range", f"bytes 0-{size - 1}/{size}")
                self.send_header("ETag", '"1"')
                self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
                self.send_header("x-ms-blob-type", "BlockBlob")
                self.end_headers()
                self.wfile.write(blob.data)

            def _answer(self, status: int, code: str | None = None) -> None:
                self.send_response(status)
                if code is not None:
                    self.send_header("x-ms-error-code", code)
                self.send_header("ETag", '"1"')
                self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _place(self) -> tuple[str, str]:
                account, _, rest = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
                assert account == ACCOUNT
                container, _, name = rest.partition("/")
                return container, name

            def _query(self) -> dict[str, list[str]]:
                return parse_qs(urlsplit(self.path).query)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
