"""Activities that run here while their instances go to another process: offers that this process has claimed.

What ends meanwhile is kept until the store has said which are.
"""

from collections.abc import Callable, Sequence

from perdure.contracts.errors import LeaseLost
from perdure.contracts.executor import ActivityResult
from perdure.contracts.offers import ClaimedOffer, OfferedWork
from perdure.contracts.records import PendingActivity
from perdure.execution.offer_activities import TOGETHER_MAX, offer_of, payload_size
from perdure.execution.offer_batches import together


class Departures:
    """Activities on their way from this process's own to those that it does for others."""

    def __init__(self) -> None:
        self._leaving: dict[int, PendingActivity] = {}
        """By number."""
        self._ended: dict[int, ActivityResult] = {}
        """Those of them that have ended."""

    def has(self, activity: PendingActivity) -> bool:
        """Whether it is on the way."""
        return activity.number in self._leaving

    def sift(self, results: list[ActivityResult]) -> list[ActivityResult]:
        """Keep the results of what is on the way; gives the others."""
        if not self._leaving:
            return results
        others: list[ActivityResult] = []
        for result in results:
            if result.activity.number in self._leaving:
                self._ended[result.activity.number] = result
            else:
                others.append(result)
        return others

    async def put_up(
        self,
        activities: Sequence[PendingActivity],
        offers: OfferedWork,
        partition_of: Callable[[str], int],
        adopt: Callable[[ClaimedOffer, PendingActivity, ActivityResult | None], None],
    ) -> None:
        """Let them be offers that are claimed; ``adopt`` is told of each that is, with its result if it has ended.

        The others are not waited for any more, or their partitions are lost; their results mean nothing.
        Raises Unavailable: then they are on the way until this is asked again.
        """
        self._leaving.update((activity.number, activity) for activity in activities)
        while self._leaving:
            going = together(self._leaving.values(), count_max=TOGETHER_MAX, characters_of=payload_size)
            try:
                made = [offer_of(activity, partition_of(activity.instance_id)) for activity in going]
                claimed = await offers.offer_claimed(made)
            except LeaseLost as error:
                lost = [a for a in going if not error.partitions or partition_of(a.instance_id) in error.partitions]
                self._let_go(lost)
                continue
            for one in claimed:
                number = one.offer.number
                adopt(one, self._leaving.pop(number), self._ended.pop(number, None))
            self._let_go(going)

    def _let_go(self, activities: Sequence[PendingActivity]) -> None:
        for activity in activities:
            self._leaving.pop(activity.number, None)
            result = self._ended.pop(activity.number, None)
            if result is not None and result.settled is not None:
                result.settled()
