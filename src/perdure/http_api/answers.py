"""Answers as values, and which error becomes which answer. One place sends them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from starlette.types import Send

from perdure.client import (
    HistoryCorrupted,
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    NotRegistered,
    Overloaded,
    PayloadTooLarge,
    StorageError,
    StoreFull,
    Unavailable,
)
from perdure.formats.http_json import InvalidJson, InvalidQuery, encode, error_body, long_error_body

logger = logging.getLogger("perdure.http_api")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()


def json_answer(status: int, body: Any, headers: Headers = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, encode(body), (("content-type", "application/json; charset=utf-8"), *headers))


ACCEPTED = Answer(202)
NOT_FOUND = Answer(404)
GONE = Answer(410)
_CLOSE: Headers = (("connection", "close"),)
_LATER: Headers = (("retry-after", "1"),)


class UnknownHub(InvalidInput):
    """The request asks for a task hub or connection that this host does not have."""


class ErrorShape(Enum):
    """Which error object an endpoint's 400 carries (http-api.md §2)."""

    LONG = "long"
    SHORT = "short"


class BodyRefused(Exception):
    """The request's body has a form that this endpoint does not take."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ClientGone(Exception):
    """The caller has closed the connection: there is nobody to answer."""


BAD_ARGUMENT = "The request has an invalid argument."
_BAD_JSON = "The request body is not valid JSON."
_TOO_LARGE = "The payload is too large."
_TAKEN = "An instance with this id has not ended."
_NOT_FAILED = "Only a failed instance can be rewound."
_NOT_NOW = "The store cannot take this request now; try again later."
_UNEXPECTED = "The server failed unexpectedly; its log tells more."


def _long(status: int, message: str, headers: Headers = ()) -> Callable[[Exception, ErrorShape], Answer]:
    return lambda error, _: json_answer(status, long_error_body(message, str(error), type(error).__name__), headers)


def _bad(message: str) -> Callable[[Exception, ErrorShape], Answer]:
    def answer(error: Exception, shape: ErrorShape) -> Answer:
        if shape is ErrorShape.SHORT:
            return json_answer(400, error_body(str(error)))
        return json_answer(400, long_error_body(message, str(error), type(error).__name__))

    return answer


def _body_refused(error: Exception, _: ErrorShape) -> Answer:
    assert isinstance(error, BodyRefused)
    return json_answer(error.status, error_body(str(error)), _CLOSE if error.status != 400 else ())


ERROR_ANSWERS: dict[type[Exception], Callable[[Exception, ErrorShape], Answer]] = {
    InvalidQuery: lambda error, _: json_answer(400, error_body(str(error))),
    InvalidJson: _bad(_BAD_JSON),
    InvalidIdentifier: _bad(BAD_ARGUMENT),
    NotRegistered: _bad(BAD_ARGUMENT),
    InvalidInput: _bad(BAD_ARGUMENT),
    UnknownHub: _long(400, BAD_ARGUMENT),
    # The rest of a body that is too large is not read, so the connection cannot be used again.
    PayloadTooLarge: _long(413, _TOO_LARGE, _CLOSE),
    BodyRefused: _body_refused,
    InstanceNotFound: lambda _, __: NOT_FOUND,
    InstanceFinished: lambda _, __: GONE,
    InstanceExists: _long(409, _TAKEN),
    InstanceRunning: lambda error, _: json_answer(409, error_body(str(error))),
    InstanceNotFailed: _long(409, _NOT_FAILED),
    Overloaded: _long(429, _NOT_NOW, _LATER),
    StoreFull: _long(507, _NOT_NOW, _LATER),
    Unavailable: _long(503, _NOT_NOW, _LATER),
    StorageError: _long(503, _NOT_NOW, _LATER),
    HistoryCorrupted: _long(500, "The instance's history is damaged."),
}
"""The nearest class in an error's line of ancestors counts."""


def answer_to(error: Exception, shape: ErrorShape) -> Answer:
    """The answer to a request that ended with ``error``; what is unexpected is logged and not shown."""
    for kind in type(error).__mro__:
        make = ERROR_ANSWERS.get(kind)
        if make is not None:
            return make(error, shape)
    logger.error("A management request failed unexpectedly.", exc_info=error)
    return json_answer(500, long_error_body(_UNEXPECTED, "", type(error).__name__))


async def send_answer(answer: Answer, send: Send) -> None:
    """Put an answer on the wire."""
    headers = [(b"content-length", str(len(answer.body)).encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
