"""The two ways to a task hub: through a host over HTTP, or into the store itself. Both are asked in HTTP's words."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol
from urllib.parse import urlencode, urlsplit

from perdure.cli.exit_codes import STORE
from perdure.cli.output import fail

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from perdure.contracts.storage import Storage

Query = Mapping[str, str | None]
SECONDS_MAX = 600.0
"""A large store takes its time to be copied or verified before the first byte comes."""
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def value(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class HubDoor(Protocol):
    """A task hub as commands see it."""

    where: str
    """The host's URL or the store's; for messages."""
    host_url: str | None
    """A host that runs the hub, by URL or name; None when nobody does: nothing moves until a host is started."""

    def ask(
        self, method: str, path: str, *, query: Query | None = None, body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """One request. Ends the command with exit code 3 when nobody answers."""
        ...

    def close(self) -> None:
        """Let go. Twice-safe."""
        ...


def target_of(path: str, query: Query | None) -> str:
    """Path and the query parameters that have a value."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


class HttpDoor:
    """A host that somebody runs. ``key`` travels in a header, never in a URL that a log might keep.

    ``hub``: of a server's task hubs this one; None means what the URL says by itself.
    """

    def __init__(
        self, url: str, key: str | None, trust: ssl.SSLContext | None = None, *, hub: str | None = None
    ) -> None:
        self.where = url.rstrip("/")
        self.host_url: str | None = self.where
        self._key = key
        self._trust = trust
        self._hub = hub
        self._url = urlsplit(self.where)
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, *, query: Query | None = None, body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """See ``HubDoor``."""
        try:
            answer = self._send(method, target_of(path, query), body, headers or {})
            return Reply(answer.status, answer.read(), _lower(answer))
        except (OSError, http.client.HTTPException) as error:
            self._unreachable(error)

    def download(self, path: str, into: BinaryIO, progress: Callable[[int, int], None]) -> Reply:
        """A large answer, written as it comes; ``progress`` is told how many bytes of how many. Others come back."""
        try:
            answer = self._send("GET", path, None, {})
            if answer.status != 200:
                return Reply(answer.status, answer.read(), _lower(answer))
            size, done = int(answer.headers.get("content-length", "0")), 0
            while chunk := answer.read(CHUNK_BYTES):
                into.write(chunk)
                done += len(chunk)
                progress(done, size)
        except (OSError, http.client.HTTPException) as error:
            self._unreachable(error)
        if done != size:
            fail(f"The host at {self.where} ended the answer after {done} of {size} bytes.", STORE)
        return Reply(200)

    def close(self) -> None:
        """Twice-safe."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        if self._hub is not None:
            target += f"{'&' if '?' in target else '?'}{urlencode({'taskHub': self._hub})}"
        key = {} if self._key is None else {"x-functions-key": self._key}
        kind = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, self._url.path + target, body, {**kind, **key, **headers})
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        name, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(name, port, timeout=SECONDS_MAX, context=self._trust)
        return http.client.HTTPConnection(name, port, timeout=SECONDS_MAX)

    def _unreachable(self, error: Exception) -> NoReturn:
        self.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            fail(
                f"The certificate of {self.where} is not trusted: {error.verify_message}. "
                "Name the file of a trusted one in the environment variable SSL_CERT_FILE.",
                STORE,
            )
        fail(f"The host at {self.where} does not answer: {error or type(error).__name__}.", STORE)


def _lower(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


class StoreDoor:
    """A store itself, for the length of a command: the host's own routes, without a socket between."""

    def __init__(self, where: str, storage: "Storage", app: "ASGIApp") -> None:
        self.where = where
        self.host_url: str | None = None
        self._storage = storage
        self._app = app
        self._runner = asyncio.Runner()

    def open(self) -> None:
        """Raises StoreInUse, StoreUnusable."""
        try:
            self._runner.run(self._storage.open())
        except BaseException:
            self._runner.close()
            raise

    def ask(
        self, method: str, path: str, *, query: Query | None = None, body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """See ``HubDoor``."""
        given = {"host": "localhost", "content-type": "application/json", **(headers or {})}
        return self._runner.run(_ask(self._app, method, target_of(path, query), body or b"", given))

    def close(self) -> None:
        """Twice-safe."""
        self._runner.run(self._storage.close())
        self._runner.close()


async def _ask(app: "ASGIApp", method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 0), "server": ("localhost", 80),
    }  # fmt: skip
    sent: list[Any] = []
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not waiting:
            # We never hang up.
            await asyncio.get_running_loop().create_future()
        return waiting.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]), answered)
