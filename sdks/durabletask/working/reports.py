"""Completions on their way to the server: sent without waiting, sent again when the server could not be reached."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import grpc

from durabletask.working.calls import NoHeaders, WorkerCalls

_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_TOO_LARGE = "larger than max"
"""What gRPC says of a message beyond the receiver's limit."""
Instead = Callable[[Exception], Any]
"""Makes the answer that says that the answer was too large."""
_PAUSES = (0.2, 1.0, 3.0, 5.0)
"""Seconds between tries. Afterwards the server gives the item to somebody again."""


class Reports:
    """Counts what is in hand: a taken item stays so until its answer has arrived or was given up."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._in_hand = 0
        self._changed = threading.Condition()

    def took(self) -> None:
        """An item is in hand."""
        with self._changed:
            self._in_hand += 1

    def send(self, answer: Any, calls: WorkerCalls, refused: Instead | None = None, tries: int = 0) -> None:
        """Send an item's answer; what ``refused`` makes, when the server takes no message of that size."""
        try:
            sent = calls.report(answer)
        except NoHeaders as error:
            if tries < len(_PAUSES):
                self._send_later(answer, calls, refused, tries)
            else:
                self._give_up(answer, error)
            return
        except Exception as error:
            # The channel was closed, or the answer cannot be sent.
            self._give_up(answer, error)
            return
        sent.add_done_callback(lambda done: self._sent(done, answer, calls, refused, tries))

    def wait(self) -> None:
        """Wait until nothing is in hand."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand == 0)

    def _sent(self, done: Any, answer: Any, calls: WorkerCalls, refused: Instead | None, tries: int) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None and not done.cancelled():
            self.put_down()
            return
        code = done.code() if not done.cancelled() else grpc.StatusCode.CANCELLED
        if code in _AGAIN and tries < len(_PAUSES):
            self._send_later(answer, calls, refused, tries)
            return
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (done.details() or "") and refused is not None:
            # Given out again, it would only be answered the same.
            size = ValueError(f"The answer has {answer.ByteSize()} bytes, more than the server takes.")
            self._logger.error("A %s is a failure: %s", type(answer).__name__, size)
            self.send(refused(size), calls)
            return
        self._give_up(answer, error or code)

    def _send_later(self, answer: Any, calls: WorkerCalls, refused: Instead | None, tries: int) -> None:
        again = threading.Timer(_PAUSES[tries], self.send, (answer, calls, refused, tries + 1))
        again.daemon = True
        again.start()

    def _give_up(self, answer: Any, why: object) -> None:
        self._logger.error(
            "A %s could not be sent, and the server will give out the work again: %s", type(answer).__name__, why
        )
        self.put_down()

    def put_down(self) -> None:
        """An item is no longer in hand."""
        with self._changed:
            self._in_hand -= 1
            self._changed.notify_all()
