"""What the looks at the hub and the hints of others set going here."""

from collections.abc import Awaitable, Callable

from perdure.contracts.errors import StoreFailed
from perdure.storage.shared.chores import Chore
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.keeping import Keeping
from perdure.storage.shared.offering import Offering
from perdure.storage.shared.ownership import Ownership
from perdure.storage.shared.tables import Hint, Sight
from perdure.storage.shared.watching import Watching
from perdure.storage.status_waiters import StatusWaiters


class Hearing:
    """Of one opening. ``arrivals`` reads what others wrote for us, ``errands`` works on what they asked for."""

    def __init__(
        self,
        read_arrivals: Callable[[], Awaitable[None]],
        work_on_errands: Callable[[], Awaitable[None]],
        *,
        ownership: Ownership,
        keeping: Keeping,
        hints: Hints,
        watching: Watching,
        offering: Offering,
        waiters: StatusWaiters,
        is_open: Callable[[], bool],
        failed: Callable[[StoreFailed], None],
    ) -> None:
        self.arrivals = Chore(read_arrivals, failed)
        self.errands = Chore(work_on_errands, failed)
        self._ownership = ownership
        self._keeping = keeping
        self._hints = hints
        self._watching = watching
        self._offering = offering
        self._waiters = waiters
        self._is_open = is_open
        self._sweeping = Chore(watching.sweep, failed)
        self._reached: set[str] = set()
        self._reading_reached = Chore(self._read_reached, failed)

    async def seen(self, sight: Sight) -> None:
        """A look at the whole hub. Raises Unavailable."""
        await self._ownership.seen(sight)
        alive = [row.number for row in sight.processes if row.is_alive]
        self._hints.keep_to(alive)
        self._watching.keep_to(alive)
        if sight.has_arrivals:
            self.arrivals.poke()
        if sight.has_errands:
            self.errands.poke()
        if sight.has_offers:
            self._offering.stir()
        if self._waiters:
            self._sweeping.poke()

    def heard(self, hint: Hint) -> None:
        """A hint came, perhaps late."""
        if not self._is_open():
            return
        if hint.has_arrivals:
            self.arrivals.poke()
        if hint.has_errands:
            self.errands.poke()
        if hint.has_offers:
            self._offering.stir()
        if hint.has_partitions:
            self._keeping.poke()
        if hint.watched:
            self._watching.watched(hint.sender, hint.watched)
        if hint.reached:
            self._reached.update(hint.reached)
            self._reading_reached.poke()

    def stop(self) -> None:
        """Do nothing more."""
        for chore in (self.arrivals, self._sweeping, self.errands, self._reading_reached):
            chore.stop()

    async def _read_reached(self) -> None:
        reached, self._reached = self._reached, set()
        await self._watching.read(reached)
