"""One stream: what it may send and receive yet, and who answers it."""

import asyncio
from typing import Protocol


class Exchange(Protocol):
    """Answers one request."""

    def take(self, piece: bytes, *, is_last: bool) -> None:
        """A piece of the request's body; empty when only the end comes."""
        ...

    def cut_off(self) -> None:
        """Nobody takes an answer any more. Called at most once, and not after the answer's end."""
        ...


class Stream:
    """One request and its answer."""

    __slots__ = (
        "_waiter", "coming_bytes", "content_bytes", "exchange", "has_ended", "heard_at", "is_whole", "moved_at",
        "number", "received", "room", "taken", "unsent", "window",
    )  # fmt: skip

    def __init__(self, number: int, *, window: int, room: int, now: float) -> None:
        self.number = number
        self.exchange: Exchange | None = None
        self.window = window
        """So much the peer takes of it now."""
        self.unsent = memoryview(b"")
        """What is left of the message that is being sent."""
        self.moved_at = now
        """When some of that left."""
        self.has_ended = False
        """The answer's end is sent, or nothing more can be."""
        self.room = room
        """So much the peer may send yet."""
        self.taken = 0
        """Received since the peer was last told that it may send more."""
        self.received = 0
        self.coming_bytes = 0
        """Received of a request whose end has not come."""
        self.content_bytes: int | None = None
        """How long the request says that its body is."""
        self.heard_at = now
        self.is_whole = False
        """The end of the request has come."""
        self._waiter: asyncio.Future[None] | None = None

    def sent(self) -> None:
        """All that was to be sent has left."""
        if (waiter := self._waiter) is not None and not waiter.done():
            waiter.set_result(None)

    async def until_sent(self) -> None:
        """Wait until the message has left."""
        while self.unsent:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
