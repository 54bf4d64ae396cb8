"""What a copy is made of, and what both ends of it offer.

Rows are those of ``storage.rows``: whatever store they come from, they have the same columns and checksums, so an
instance arrives as it was, and damage stays damage that `verify` finds.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

import msgspec

Row = Sequence[Any]


class Part(Enum):
    """The parts of a hub, in the order in which they are copied."""

    INSTANCES = 1
    """With their histories."""
    ACTIVITIES = 2
    MESSAGES = 3
    END = 4


class Counts(msgspec.Struct, frozen=True):
    """How many rows a hub has."""

    instances: int
    episodes: int
    activities: int
    messages: int

    @property
    def total(self) -> int:
        return self.instances + self.episodes + self.activities + self.messages


class Reached(msgspec.Struct, frozen=True):
    """How far a copy has come: of this part, everything up to this place."""

    part: Part = Part.INSTANCES
    after: int = -(1 << 62)


class Batch(msgspec.Struct, eq=False):
    """Rows of one part that are written in one transaction, and the place up to which they reach.

    ``history`` belongs to the instances of ``rows``. Messages come in the order of their arrival.
    """

    rows: list[Row]
    after: int
    history: list[Row] = []

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.history)


class Source(Protocol):
    """The hub that is copied; nobody changes it between ``open`` and ``close``."""

    async def open(self) -> None:
        """Take it. Raises StoreInUse while somebody works on it, StoreUnusable."""
        ...

    async def close(self) -> None:
        """Let go. Twice-safe."""
        ...

    async def fingerprint(self) -> int:
        """Another number whenever something was written since; below 2**62."""
        ...

    async def counts(self) -> Counts: ...

    async def number_bound(self) -> int:
        """No number as high as this one was ever given in this hub."""
        ...

    async def read(self, reached: Reached) -> Batch | None:
        """The next rows of the part; None when there are no more."""
        ...


class Target(Protocol):
    """The hub that comes to be; nobody can use it before ``finish``."""

    async def open(self, fingerprint: int) -> Reached:
        """Make it, or take up a copy of the same source that was broken off; one of a source that has changed since
        begins anew.

        Raises StoreUnusable when something is there already, StoreInUse while somebody else copies.
        """
        ...

    async def close(self) -> None:
        """Let go. What is not finished can be taken up again. Twice-safe."""
        ...

    async def write(self, part: Part, batch: Batch) -> None:
        """Write it, together with how far the copy has come, or nothing. Raises StoreUnusable for what it cannot
        keep."""
        ...

    async def counts(self) -> Counts: ...

    async def finish(self, number_bound: int) -> None:
        """All is there: from here on it is a hub like any other."""
        ...
