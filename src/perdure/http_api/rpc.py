"""The management API for clients of the official 1.x package on this machine (http-api.md §1, §7)."""

from typing import ClassVar

from perdure.formats.http_json import inner_text
from perdure.http_api.app import ManagementRoute
from perdure.http_api.requests import Request

RPC_PREFIX = "/durabletask"


class RpcRequest(Request):
    """A request whose body is JSON text inside a JSON string, as that package's client writes all of them."""

    async def json_text(self) -> str:
        """The inner text, or the body's own where it is no such string."""
        return inner_text(await super().json_text())

    async def optional_json_text(self) -> str | None:
        """As ``json_text``; None for an empty body."""
        text = await super().optional_json_text()
        return None if text is None else inner_text(text)


class RpcRoute(ManagementRoute):
    """Answers everything below ``/durabletask``."""

    prefix: ClassVar[bytes] = RPC_PREFIX.encode()
    request_type: ClassVar[type[Request]] = RpcRequest
