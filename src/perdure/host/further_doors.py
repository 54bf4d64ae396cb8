"""Doors of a host beside the one for HTTP."""

from typing import Protocol


class FurtherDoor(Protocol):
    """Another way in. It opens when the hub runs, and closes before the hub stops."""

    async def start(self) -> None:
        """Take requests from here on. Raises StartFailed."""
        ...

    async def stop(self) -> None:
        """End the requests under way. Twice-safe; comes without ``start`` too."""
        ...
