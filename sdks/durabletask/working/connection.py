"""A worker's stream of work items: opened, watched, opened again for as long as the worker runs (grpc.md §5.1)."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.working.calls import Headers, NoHeaders, WorkerCalls
from durabletask.working.start import WorkerStart
from perdure.formats.protobuf import messages as pb

OpenChannel = Callable[[], grpc.Channel]
TakeItem = Callable[[pb.WorkItem, WorkerCalls], None]

LINGER_SECONDS = 0.1
LINGER_SECONDS_MAX = 1.0
"""How long a stopping worker listens for what is on its way to it: what nobody reads would have to time out."""
STUCK_SECONDS = 0.5
"""So long a stop waits for a thread that may be asking for a token, which nobody can cut short."""
_SILENCE_CHECKS = 4
"""So many looks at the clock for each time-out."""
_NEVER = ("the target uri is not valid", "Invalid metadata")
"""What gRPC says of calls that it does not even begin."""
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_HINTS = {
    grpc.StatusCode.UNAVAILABLE: "Is a server there, as perdure serve? Its address begins with https:// if it speaks "
    "TLS, else with http://; a CA of your own is named by CaFile=… in the connection string.",
    grpc.StatusCode.NOT_FOUND: "A perdure server makes a task hub by: perdure hub create NAME.",
    grpc.StatusCode.UNAUTHENTICATED: "A perdure server takes Authentication=Token;TokenFile=… (connection string).",
}
"""What to look at when a worker has never been connected; each is said once."""


class Connection:
    """Runs on a thread of its own until it is stopped. Every status of the server leads to another try.

    So does a token that cannot be had. What can never be sent ends a worker that was not connected yet, and tells its
    start; once it was connected, it is tried on.
    """

    def __init__(
        self,
        open_channel: OpenChannel,
        *,
        owns_channel: bool,
        headers: Headers,
        options: GrpcWorkerResiliencyOptions,
        logger: logging.Logger,
    ) -> None:
        self._open_channel = open_channel
        self._owns_channel = owns_channel
        self._headers = headers
        self._options = options
        self._logger = logger
        self._stopping = threading.Event()
        self._channel: grpc.Channel | None = None
        self._thread: threading.Thread | None = None
        self._greeting: grpc.Future | None = None
        self._stream: Any = None
        self._told: str | None = None
        """The trouble that the log tells of; it is not repeated at every try."""
        self._hints = dict(_HINTS)
        self._waiting_since: float | None = None
        self._heard_at = 0.0
        self._is_silent = False

    def begin(self, request: Callable[[], pb.GetWorkItemsRequest], take: TakeItem, start: WorkerStart) -> None:
        """Give every work item to ``take`` until ``stop`` is called. Raises what a channel says of its address."""
        # Nothing is connected by this, so what is wrong here is wrong for ever.
        self._calls()
        self._thread = threading.Thread(
            target=self._run, args=(request, take, start), name="durabletask-worker", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take what is on its way, then nothing more; the channel stays for completions. Twice-safe."""
        begun = time.monotonic()
        while self._stream is not None and not self._stopping.is_set():
            now = time.monotonic()
            quiet = now - max(begun, self._heard_at)
            if quiet >= LINGER_SECONDS or now - begun >= LINGER_SECONDS_MAX:
                break
            self._stopping.wait(LINGER_SECONDS - quiet)
        self._stopping.set()
        for call in (self._greeting, self._stream):
            if call is not None:
                call.cancel()
        if self._thread is not None:
            self._thread.join(STUCK_SECONDS)

    def close(self) -> None:
        """Let go of the channel."""
        if self._owns_channel:
            self._drop_channel()

    def _run(self, request: Callable[[], pb.GetWorkItemsRequest], take: TakeItem, start: WorkerStart) -> None:
        watch = threading.Thread(target=self._watch, name="durabletask-watch", daemon=True)
        if self._options.silent_disconnect_timeout_seconds > 0:
            watch.start()
        tries = failures = 0
        while not self._stopping.is_set():
            try:
                calls = self._calls()
                self._greet(calls)
                if self._read(calls, request(), take, start):
                    # It worked, and the server ended it: there is nothing to wait for.
                    tries = failures = 0
                    continue
                tries += 1
            except Exception as error:
                if self._stopping.is_set():
                    return
                if not start.connected and (why := _never(error)) is not None:
                    self._logger.error("The worker cannot run: %s", why)
                    start.failed(why)
                    return
                tries += 1
                if self._is_silent or (isinstance(error, grpc.RpcError) and _status(error) in _UNREACHABLE):
                    failures += 1
                self._is_silent = False
                self._tell(error)
                threshold = self._options.channel_recreate_failure_threshold
                if threshold and failures >= threshold:
                    self._drop_channel()
                    failures = 0
            self._stopping.wait(self._pause(tries))

    def _tell(self, error: Exception) -> None:
        if isinstance(error, grpc.RpcError):
            status = _status(error)
            hint = self._hints.pop(status, None)
            again = "Trying again." if hint is None else f"Trying again. {hint}"
            self._logger.warning("No work items come: %s (%s). %s", status.name.lower(), _details(error), again)
            return
        why = f"no token can be had ({error})" if isinstance(error, NoHeaders) else f"{type(error).__name__}: {error}"
        if why != self._told:
            self._told = why
            # Nobody needs the trace of a token that is not given; anything else is not expected here.
            unexpected = None if isinstance(error, NoHeaders) else error
            self._logger.error("No work items come: %s. Trying again until they do.", why, exc_info=unexpected)

    def _greet(self, calls: WorkerCalls) -> None:
        greeting = self._greeting = calls.hello(self._options.hello_timeout_seconds)
        try:
            if self._stopping.is_set():
                greeting.cancel()
            greeting.result()
        finally:
            self._greeting = None

    def _read(self, calls: WorkerCalls, request: pb.GetWorkItemsRequest, take: TakeItem, start: WorkerStart) -> bool:
        """Whether anything came before the stream's end."""
        stream = self._stream = calls.work_items(request)
        came = False
        try:
            if self._stopping.is_set():
                stream.cancel()
            start.opened()
            self._told = None
            self._hints.clear()
            self._logger.info("Connected to the server; waiting for work items.")
            while True:
                self._waiting_since = time.monotonic()
                try:
                    item = next(stream)
                except StopIteration:
                    return came
                finally:
                    self._waiting_since = None
                came = True
                self._heard_at = time.monotonic()
                if not item.HasField("healthPing"):
                    take(item, calls)
        finally:
            self._stream = None

    def _watch(self) -> None:
        seconds = self._options.silent_disconnect_timeout_seconds
        while not self._stopping.wait(seconds / _SILENCE_CHECKS):
            since, stream = self._waiting_since, self._stream
            if since is not None and stream is not None and time.monotonic() - since > seconds:
                # A server sends pings: nothing for so long means that nobody is there.
                self._is_silent = True
                stream.cancel()

    def _calls(self) -> WorkerCalls:
        if self._channel is None:
            self._channel = self._open_channel()
        return WorkerCalls(self._channel, self._headers)

    def _drop_channel(self) -> None:
        channel = self._channel
        if channel is not None and self._owns_channel:
            self._channel = None
            channel.close()

    def _pause(self, tries: int) -> float:
        base = self._options.reconnect_backoff_base_seconds
        cap = self._options.reconnect_backoff_cap_seconds
        return random.uniform(0, min(cap, base * 2 ** min(tries - 1, 30)))


def _never(error: Exception) -> Exception | None:
    """What is wrong for ever; None when another try may go well."""
    if isinstance(error, TypeError | ValueError):
        return error
    if isinstance(error, grpc.RpcError) and any(text in _details(error) for text in _NEVER):
        return ValueError(_details(error))
    return None


def _status(error: grpc.RpcError) -> grpc.StatusCode:
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def _details(error: grpc.RpcError) -> str:
    return (error.details() if isinstance(error, grpc.Call) else None) or str(error)
