"""Mistakes to plant where several processes share a hub; the simulation of several hosts must find each of them."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from perdure.engine import orchestration_episode
from perdure.engine.committing import Commits
from perdure.engine.turnovers import Turnovers
from perdure.storage.changes import Outcome
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.shared.arriving import ArrivalReading
from perdure.storage.shared.creating import Creating
from perdure.storage.shared.handing_over import HandingOver
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.keeping import Keeping
from perdure.storage.shared.store_clock import StoreClock
from perdure.storage.shared.tables import Epochs, PartitionsLost
from perdure.storage.shared.watching import Watching
from perdure.testing.simulation.hosts.way import Way

Plant = Callable[[pytest.MonkeyPatch], None]

HOST_PLANTS: dict[str, Plant] = {}


def plant(make: Plant) -> Plant:
    """Add a mistake, by the name of its function."""
    HOST_PLANTS[make.__name__.replace("_", " ")] = make
    return make


@plant
def no_epoch_is_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedMemory, "_check_fence", lambda self, process, fence: None)


@plant
def the_owner_is_compared_and_not_the_epoch(patch: pytest.MonkeyPatch) -> None:
    def careless(self: Any, process: int, fence: Epochs) -> None:
        self._check_process(process)
        if lost := {p for p in fence if self.partitions[p].owner != process}:
            raise PartitionsLost(frozenset(lost))

    patch.setattr(SharedMemory, "_check_fence", careless)
    patch.setattr(Holding, "check_leases", lambda self, leases: None)
    patch.setattr(Holding, "lost_of", lambda self, fence: frozenset(p for p in fence if p not in self.leases))


@plant
def a_renewal_counts_from_its_answer(patch: pytest.MonkeyPatch) -> None:
    extend = Keeping._extend
    patch.setattr(Keeping, "_extend", lambda self, sent: extend(self, asyncio.get_running_loop().time()))


@plant
def a_commit_whose_answer_is_lost_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    def hopeful(self: Way, request: Any) -> bool:
        if not request.is_done and request.operation == "write":
            request.is_void = request.is_done = True
            request._result = Outcome()
        return request.is_done

    patch.setattr(Way, "was_done", hopeful)


@plant
def a_commit_whose_answer_is_lost_counts_as_not_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Way, "was_done", lambda self, request: False)


@plant
def what_was_given_up_may_still_be_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Way, "was_done", lambda self, request: request.is_done)


@plant
def a_buried_process_goes_on_claiming(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedMemory, "_check_process", lambda self, process: None)


@plant
def the_mark_of_a_reading_is_too_new(patch: pytest.MonkeyPatch) -> None:
    arrivals = SharedMemory.arrivals

    def hasty(self: Any, partitions: Collection[int], mark: int) -> Any:
        arrived = arrivals(self, partitions, mark)
        return msgspec.structs.replace(arrived, mark=arrived.mark + 2)

    patch.setattr(SharedMemory, "arrivals", hasty)


@plant
def nobody_looks_for_arrivals_without_a_hint(patch: pytest.MonkeyPatch) -> None:
    renew = SharedMemory.renew

    def blind(self: Any, *arguments: Any) -> Any:
        sight = renew(self, *arguments)
        return None if sight is None else msgspec.structs.replace(sight, has_arrivals=False)

    patch.setattr(SharedMemory, "renew", blind)


@plant
def nobody_looks_for_what_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    async def idle(self: Watching) -> None:
        pass

    patch.setattr(Watching, "sweep", idle)


@plant
def positions_of_all_processes_tell_an_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orchestration_episode, "was_before", lambda number, other: number < other)


@plant
def what_has_no_row_is_not_handed_over(patch: pytest.MonkeyPatch) -> None:
    async def careless(self: HandingOver, arrivals: Any, fence: Epochs) -> None:
        for arrival in arrivals:
            self._holding.settle([arrival.envelope])

    patch.setattr(HandingOver, "write", careless)


@plant
def partitions_are_given_back_before_the_last_commit(patch: pytest.MonkeyPatch) -> None:
    follow = Turnovers.follow

    async def hasty(self: Any) -> None:
        for partition in self._leaving:
            lease = self._held.hold.leases.get(partition)
            if lease is not None:
                await self._storage.inner._ownership.give_back({partition: lease.epoch})
        await follow(self)

    patch.setattr(Turnovers, "follow", hasty)


@plant
def the_time_of_day_tells_what_is_due(patch: pytest.MonkeyPatch) -> None:
    offsets: dict[int, timedelta] = {}

    def heard(self: Any, there: datetime) -> None:
        offsets[id(self)] = there - self._here.now()

    patch.setattr(StoreClock, "heard", heard)
    patch.setattr(StoreClock, "now", lambda self: self._here.now() + offsets.get(id(self), timedelta()))


@plant
def a_row_is_told_of_again_after_its_inbox_was_read(patch: pytest.MonkeyPatch) -> None:
    async def careless(self: ArrivalReading, partition: int, read: Any) -> Any:
        return await read()

    patch.setattr(ArrivalReading, "without_unheard", careless)


@plant
def a_start_over_a_living_instance_is_written_by_whoever_gets_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Creating, "needs_owner", lambda self, creation: False)


@plant
def what_a_refused_instance_dropped_is_gone(patch: pytest.MonkeyPatch) -> None:
    leave_out = Commits._leave_out_taken

    def careless(self: Any, instance_ids: Any, round_: Any, episodes: Any) -> bool:
        dropped = list(round_.discarded)
        found = leave_out(self, instance_ids, round_, episodes)
        round_.discarded[:] = dropped
        return found

    patch.setattr(Commits, "_leave_out_taken", careless)


@plant
def only_the_first_arrival_is_taken(patch: pytest.MonkeyPatch) -> None:
    arrivals = SharedMemory.arrivals

    def forgetful(self: Any, partitions: Collection[int], mark: int) -> Any:
        arrived = arrivals(self, partitions, mark)
        return msgspec.structs.replace(arrived, envelopes=arrived.envelopes[:1])

    patch.setattr(SharedMemory, "arrivals", forgetful)


@plant
def an_episode_that_took_what_is_gone_ends_the_engine(patch: pytest.MonkeyPatch) -> None:
    async def never(self: Any, round_: Any, episodes: Any) -> bool:
        return False

    patch.setattr(Commits, "_leave_out_vanished", never)
