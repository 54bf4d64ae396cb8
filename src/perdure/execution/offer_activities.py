"""The owner's side of activities: what would wait long here is offered, and taken back while nobody does it."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from perdure.contracts.errors import LeaseLost
from perdure.contracts.executor import Executor, ServedKind, Serves
from perdure.contracts.offers import Offer, OfferedWork
from perdure.contracts.records import PendingActivity
from perdure.execution.offer_batches import together
from perdure.execution.offer_rates import ActivityRates
from perdure.formats.stored_offers import write_offer

LONG_SECONDS = 1.0
"""What would begin sooner is not worth a way through the store."""
KEPT_SECONDS = 0.4
"""So much work is kept when the rest is offered, and taken back when it becomes less than half of that."""
APART_SECONDS = 0.25
"""Surplus is offered no more often."""
TOGETHER_MAX = 2_000
"""So many offers at most go to the store in one call."""

_Code = tuple[str, str | None]
"""Name and version: what decides who can run an activity."""


class OwnActivities:
    """Activities of the instances that this process owns. ``leaves``: which would only wait here; None: none."""

    def __init__(self, inner: Executor, rates: ActivityRates, leaves: Serves | None) -> None:
        self._inner = inner
        self._rates = rates
        self._leaves = leaves
        self._here: dict[int, PendingActivity] = {}
        """With the executor, by number."""
        self._going: list[PendingActivity] = []
        """On their way up."""
        self._up: dict[_Code, dict[int, PendingActivity]] = {}
        """What was offered though it can be run here, and may still wait, oldest first. What only waited here is
        claimed as if it were others' when somebody comes who runs it: until then it would pile up."""
        self._offered_at = -math.inf

    @property
    def is_waited_for(self) -> bool:
        """Whether there may be something to take back as soon as there is room."""
        return bool(self._up)

    def has_up(self, name: str, version: str | None) -> bool:
        """Whether activities of that name and version may be taken back."""
        return bool(self._up.get((name, version)))

    def start(self, activities: Sequence[PendingActivity], now: float, *, is_alone: bool) -> bool:
        """Queue them here, or offer those that would only wait; whether there are any of these."""
        if self._leaves is not None and not is_alone:
            is_left = self._judgement()
            away = [activity for activity in activities if is_left(activity)]
            if away:
                self._going += away
                activities = [activity for activity in activities if not is_left(activity)]
        if activities:
            self._begin(activities, now)
        return bool(self._going)

    def adopt(self, activities: Iterable[PendingActivity]) -> None:
        """These are with the executor already."""
        self._here.update((activity.number, activity) for activity in activities)

    def leave(self, activities: Iterable[PendingActivity]) -> None:
        """These are not with the executor any more, or not as own ones."""
        for activity in activities:
            self._here.pop(activity.number, None)

    def of(self, is_meant: Callable[[str], bool]) -> list[PendingActivity]:
        """Those of these instances that are with the executor."""
        return [activity for activity in self._here.values() if is_meant(activity.instance_id)]

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """They are somebody else's, or nobody's."""
        self._going = [activity for activity in self._going if not is_gone(activity)]
        for code, up in list(self._up.items()):
            for activity in [activity for activity in up.values() if is_gone(activity)]:
                del up[activity.number]
            if not up:
                del self._up[code]

    def choose(self, now: float, is_free: Callable[[PendingActivity], bool]) -> None:
        """Take out of the executor what would wait long, or for ever; ``is_free``: it may be offered."""
        surplus = self._surplus(now)
        if not surplus and self._leaves is None:
            return
        is_left = self._judgement()

        def is_wanted(activity: PendingActivity) -> bool:
            if not is_free(activity):
                return False
            if surplus[activity.name] > 0:
                surplus[activity.name] -= 1
                return True
            return is_left(activity)

        taken = self._inner.take_back(is_wanted)
        self._rates.gone(taken)
        self.leave(taken)
        taken.reverse()
        self._going += taken

    async def put_up(self, offers: OfferedWork, partition_of: Callable[[str], int]) -> None:
        """Offer what is on its way. Raises Unavailable: then it still is."""
        while self._going:
            going = together(self._going, count_max=TOGETHER_MAX, characters_of=payload_size)
            made = [offer_of(activity, partition_of(activity.instance_id)) for activity in going]
            try:
                await offers.offer(made)
            except LeaseLost as error:
                # Theirs is the new holder's backlog.
                self._going = [a for a in self._going if partition_of(a.instance_id) not in error.partitions]
                if not error.partitions:
                    raise
                continue
            numbers = {activity.number for activity in going}
            is_left = self._judgement()
            for activity in self._going:
                # What was forgotten meanwhile is not here any more.
                if activity.number in numbers and not is_left(activity):
                    self._up.setdefault(_code_of(activity), {})[activity.number] = activity
            self._going = [activity for activity in self._going if activity.number not in numbers]

    async def take_back(self, offers: OfferedWork, partition_of: Callable[[str], int], now: float) -> bool:
        """Where there is room again, run what nobody has begun; whether there may be more of it."""
        numbers: dict[int, int] = {}
        wanted: Counter[str] = Counter()
        for (name, version), up in self._up.items():
            oldest = list(islice(up.values(), max(self._room(name, version, now) - wanted[name], 0)))
            wanted[name] += len(oldest)
            numbers |= {activity.number: partition_of(activity.instance_id) for activity in oldest}
        if not numbers:
            return False
        try:
            back = await offers.withdraw_offers(numbers)
        except LeaseLost as error:
            lost = error.partitions
            if not lost:
                raise
            self.forget(lambda activity: partition_of(activity.instance_id) in lost)
            return True
        mine = [activity for activity in self._popped(numbers) if activity.number in back]
        if mine:
            self._begin(mine, now)
        return bool(self._up)

    def _begin(self, activities: Sequence[PendingActivity], now: float) -> None:
        self._rates.begun(activities, now)
        self.adopt(activities)
        self._inner.start_activities(activities)

    def _judgement(self) -> Callable[[PendingActivity], bool]:
        """Whether an activity would only wait here; one name is asked for once."""
        leaves = self._leaves
        known: dict[tuple[str, str | None], bool] = {}

        def is_left(activity: PendingActivity) -> bool:
            if leaves is None:
                return False
            key = activity.name, activity.version
            if key not in known:
                known[key] = leaves(ServedKind.ACTIVITY, *key)
            return known[key]

        return is_left

    def _surplus(self, now: float) -> Counter[str]:
        found: Counter[str] = Counter()
        if now - self._offered_at < APART_SECONDS:
            return found
        for name in self._rates.names():
            here, rate = self._rates.here(name), self._rates.rate(name, now)
            if rate is not None and here > rate * LONG_SECONDS:
                found[name] = here - math.ceil(rate * KEPT_SECONDS)
        if found:
            self._offered_at = now
        return found

    def _room(self, name: str, version: str | None, now: float) -> int:
        kept = math.ceil((self._rates.rate(name, now) or 0.0) * KEPT_SECONDS)
        here = self._rates.here(name)
        return max(self._inner.room(name, version), kept - here if here < kept / 2 else 0)

    def _popped(self, numbers: Iterable[int]) -> list[PendingActivity]:
        popped: list[PendingActivity] = []
        for number in numbers:
            for code, up in self._up.items():
                if (activity := up.pop(number, None)) is not None:
                    popped.append(activity)
                    if not up:
                        del self._up[code]
                    break
        return popped


def _code_of(activity: PendingActivity) -> _Code:
    return activity.name, activity.version or None


def payload_size(activity: PendingActivity) -> int:
    """How many characters of payload an offer of it holds."""
    return 0 if activity.input is None else len(activity.input)


def offer_of(activity: PendingActivity, partition: int) -> Offer:
    """As what others can do it."""
    return Offer(
        number=activity.number,
        kind=ServedKind.ACTIVITY,
        name=activity.name,
        version=activity.version or None,
        instance_id=activity.instance_id,
        partition=partition,
        body=write_offer(activity),
    )
