"""What becomes of messages without a row when their partition goes: rows, for whoever has it next."""

import asyncio
from collections.abc import Sequence

from perdure.contracts.errors import CheckpointRefused, LeaseLost, StorageError
from perdure.storage.changes import Changes, Numbers, Placed, create
from perdure.storage.senders import Arrival
from perdure.storage.shared.creating import Creating
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.tables import Epochs, IdsTaken
from perdure.storage.shared.transacting import Transacting


class HandingOver:
    """Their senders still wait: nothing is answered before its row is there, and nothing is lost."""

    def __init__(self, holding: Holding, creating: Creating, transacting: Transacting, numbers: Numbers) -> None:
        self._holding = holding
        self._creating = creating
        self._transacting = transacting
        self._numbers = numbers

    async def write(self, arrivals: Sequence[Arrival], fence: Epochs) -> None:
        """Write those of them that a commit under way does not decide.

        ``fence``: partitions that are still ours for that. Starts over living instances are given back to their
        senders' calls, which find the next owner: only who runs what they replace knows what that has locked.
        """
        holding = self._holding
        try:
            await self._transacting.decided()
            while left := [arrival for arrival in arrivals if holding.is_undecided(arrival)]:
                for_owners = [a.creation for a in left if a.creation and self._creating.needs_owner(a.creation)]
                if for_owners:
                    holding.refuse({creation.start.target for creation in for_owners})
                    continue
                # Each by itself, so that what is refused is not everybody's; they are written together all the same.
                held = await asyncio.gather(*(self._write(arrival, fence) for arrival in left), return_exceptions=True)
                for outcome in held:
                    if isinstance(outcome, BaseException):
                        raise outcome
                if not all(held):
                    fence = {}
        except StorageError as error:
            holding.fail_these(arrivals, error)
            raise

    async def _write(self, arrival: Arrival, fence: Epochs) -> bool:
        """Whether the fence held. Raises Unavailable."""
        try:
            await self._transacting.write_messages(self._changes(arrival), fence)
        except IdsTaken as taken:
            self._holding.refuse(taken.instance_ids)
        except CheckpointRefused as error:
            self._holding.fail_these([arrival], error)
        except LeaseLost:
            return False
        return True

    def _changes(self, arrival: Arrival) -> Changes:
        changes = Changes()
        if arrival.creation is None:
            changes.kept.append(Placed(self._numbers.take(), arrival.envelope))
        else:
            create(changes, arrival.creation, self._numbers)
        changes.replaced_if_ended = self._creating.ended_before(changes)
        return changes
