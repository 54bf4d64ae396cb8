"""The wall clock of this machine."""

from datetime import UTC, datetime


class SystemClock:
    """See ``contracts.clock.Clock``."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)
