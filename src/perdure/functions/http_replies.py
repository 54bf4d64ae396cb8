"""What an HTTP function returned → the response (functions-host.md §9.2)."""

from dataclasses import dataclass
from typing import Any

import azure.functions as func

from perdure.contracts.errors import Overloaded, StoreFull, Unavailable

Headers = tuple[tuple[bytes, bytes], ...]

_WITHOUT_BODY = frozenset({204, 205, 304})
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole response; the door adds its length."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class UnusableResult(TypeError):
    """The function returned what is no HTTP response."""


UNAUTHORIZED = HttpReply(401)
NOT_FOUND = HttpReply(404)
TOO_LARGE = HttpReply(413)
TOO_MANY = HttpReply(429)
FAILED = HttpReply(500)
"""The body is always empty: what went wrong is in the log and nowhere else."""
_LATER: Headers = ((b"retry-after", b"1"),)
_NOT_NOW: dict[type[BaseException], HttpReply] = {
    Overloaded: HttpReply(429, _LATER),
    StoreFull: HttpReply(507, _LATER),
    Unavailable: HttpReply(503, _LATER),
}


def reply_to_failure(error: BaseException) -> HttpReply:
    """The response to what a function raised: 500, but where the store cannot take anything now, as the API says it."""
    for kind in type(error).__mro__:
        if (reply := _NOT_NOW.get(kind)) is not None:
            return reply
    return FAILED


def reply_of(value: Any) -> HttpReply:
    """The response for a return value. Raises UnusableResult, naming the type, for anything else."""
    if isinstance(value, func.HttpResponse):
        return _reply_of_response(value)
    if isinstance(value, str):
        return HttpReply(200, ((b"content-type", b"text/plain; charset=utf-8"),), value.encode("utf-8"))
    raise UnusableResult(
        f"The function returned {_shown(value)}; an HTTP function returns a func.HttpResponse or a str "
        "(for JSON: func.HttpResponse(json.dumps(value), mimetype='application/json'))."
    )


def _reply_of_response(response: func.HttpResponse) -> HttpReply:
    status = response.status_code
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 999:
        raise UnusableResult(f"The response's status code is {status!r}; it must be from 200 to 999.")
    headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _FRAMING]
    if not any(name.lower() == "content-type" for name, _ in headers):
        kind = response.mimetype
        headers.append(("content-type", f"{kind}; charset={response.charset}" if kind.startswith("text/") else kind))
    encoded = tuple((_encoded(name.lower()), _encoded(value)) for name, value in headers)
    return HttpReply(status, encoded, b"" if status in _WITHOUT_BODY else response.get_body())


def _encoded(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def _shown(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
