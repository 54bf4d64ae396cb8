"""How a store is opened."""

from enum import Enum

import msgspec


class Durability(Enum):
    """What an acknowledged write survives (architecture.md §3)."""

    FULL = "full"
    """kill -9 and power loss."""
    RELAXED = "relaxed"
    """kill -9; a power cut may lose the newest commits, never consistency."""


class Access(Enum):
    """What the opener may do."""

    HOLD = "hold"
    """Take the store for this process, make or migrate it, read and write."""
    JOIN = "join"
    """Read and write a hub that is there, beside those who run it: it is neither made nor migrated, and no partition is
    taken. Only for stores that many processes share."""
    READ_ONLY = "read-only"
    """Read a store that nobody holds, as it is: no migration, no write."""


class Placement(Enum):
    """Where writes run (architecture.md J9)."""

    ADAPTIVE = "adaptive"
    """In the loop's turn while recent commits were quick, else in a writer thread."""
    INLINE = "inline"
    """Always in the loop's turn, reads too: for simulation and for short commands."""
    THREAD = "thread"
    """Always in the writer thread."""


class StorageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the opener chooses.

    ``waiting_max`` and ``waiting_bytes_max`` bound the messages of this process that have no row yet.
    """

    durability: Durability = Durability.FULL
    access: Access = Access.HOLD
    placement: Placement = Placement.ADAPTIVE
    partitions: int | None = None
    """Of a hub on a server that is made now; None: as many as are usual. One that is there must have as many."""
    waiting_max: int = 50_000
    waiting_bytes_max: int = 256 * 1024 * 1024
    lease_seconds: float = 10.0
    """On a store that many processes share: so long after its last word a process may be taken for dead."""
    lock_seconds_max: float = 1.0
    """How long to wait for a holder that is just ending."""
    busy_seconds_max: float = 5.0
    """How long a write waits for an outside user of the file before it answers Unavailable."""
