"""What goes wrong in the middle of something: a process buried, cut off or closed while it does what it does."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import pytest

from perdure.contracts.errors import CheckpointRefused, HistoryCorrupted, StoreFailed, Unavailable
from perdure.contracts.records import ReusePolicy
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome
from perdure.storage.shared.keeping import LeaseTimes
from perdure.storage.shared.tables import Epochs, Sight
from support.shared_hub import Process, SharedHub, on_shared_hub, until
from support.stored_instances import creation, names, raised

TIMES = LeaseTimes()
COMPLETED = frozenset({RuntimeStatus.Completed})


async def pair(hub: SharedHub) -> tuple[Process, Process]:
    one, two = await hub.join(), await hub.join()
    await until(lambda: [len(one.hold.leases), len(two.hold.leases)] == [16, 16])
    return one, two


def test_who_is_buried_while_it_gives_back_goes_on() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, _ = await pair(hub)
        number = one.storage.process
        assert number is not None
        one.tables.slow["give back"] = 5.0
        lease = next(iter(one.hold.leases.values()))
        del one.hold.leases[lease.partition]
        releasing = asyncio.create_task(one.storage.release([lease]))
        await until(lambda: one.tables.asked["give back"] == 1)
        hub.memory.depart(number)
        await releasing
        one.tables.slow.clear()
        await one.storage.acquire("again")
        await until(lambda: sorted(hub.held()) == [16, 16])

    on_shared_hub(scenario)


@pytest.mark.parametrize("when", ["before it", "in it"])
def test_a_hand_over_ends_also_when_who_asked_for_it_goes_away(when: str) -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        target = hub.id_for(one)
        lease = one.hold.leases[one.hold.partition_of(target)]
        one.tables.slow["write"] = 1.0
        # A commit under way is waited for first.
        under_way = asyncio.create_task(one.storage.send(raised(hub.id_for(two)))) if when == "before it" else None
        sending = asyncio.create_task(one.storage.send(raised(target, "go")))
        await until(lambda: names(one.received) == ["go"])
        if under_way is not None:
            await until(lambda: one.tables.asked["write"] > 0)
        del one.hold.leases[lease.partition]
        releasing = asyncio.create_task(one.storage.release([lease]))
        await asyncio.sleep(0.1)
        releasing.cancel()
        await until(releasing.done)
        assert releasing.cancelled()
        await until(sending.done)
        await sending
        await until(lambda: hub.memory.partitions[lease.partition].owner is not None)
        await until(lambda: "go" in names([*one.received[1:], *two.received]))
        if under_way is not None:
            await under_way

    on_shared_hub(scenario)


def test_a_store_that_closes_waits_for_a_hand_over_that_nobody_waits_for() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, _ = await pair(hub)
        target = hub.id_for(one)
        lease = one.hold.leases[one.hold.partition_of(target)]
        one.tables.slow["write"] = 1.0
        sending = asyncio.create_task(one.storage.send(raised(target, "go")))
        await until(lambda: names(one.received) == ["go"])
        del one.hold.leases[lease.partition]
        releasing = asyncio.create_task(one.storage.release([lease]))
        await asyncio.sleep(0.1)
        releasing.cancel()
        await one.close()
        with pytest.raises(Unavailable):
            await sending

    on_shared_hub(scenario)


def test_what_was_lost_before_it_is_asked_back_is_not_asked_back() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        held = one.storage._holding  # pyright: ignore[reportPrivateUsage]
        held.ask_back([*two.hold.partitions])
        await asyncio.sleep(TIMES.renewal)
        assert sorted(hub.held()) == [16, 16]

    on_shared_hub(scenario)


def test_an_error_that_nobody_thought_of_shuts_the_store_instead_of_ending_the_keeping() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        renew = process.tables.renew

        async def damaged(number: int, lease_seconds: float, *, runs: bool) -> Sight | None:
            await renew(number, lease_seconds, runs=runs)
            raise LookupError("a column is not there")

        process.tables.renew = damaged  # type: ignore[method-assign]
        await asyncio.sleep(TIMES.renewal + 1.0)
        with pytest.raises(StoreFailed, match="a column is not there"):
            await process.storage.get("a")

    on_shared_hub(scenario)


def test_renewal_goes_on_while_claims_wait() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        one.tables.slow["claim"] = 3 * TIMES.lease
        number = one.storage.process
        await two.stop()
        await until(lambda: one.tables.asked["claim"] > 1)
        await asyncio.sleep(2.5 * TIMES.lease)
        assert one.storage.process == number
        assert len(one.hold.leases) == 16
        await until(lambda: len(one.hold.leases) == 32)

    on_shared_hub(scenario)


def test_one_damaged_instance_keeps_nobody_waiting_for_another() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        two.tables.loses_hints = True
        damaged, sound = hub.id_for(two, "damaged"), hub.id_for(two, "sound")

        async def finish(start: Envelope) -> None:
            await two.run(start, status=RuntimeStatus.Completed)

        waiting = [asyncio.create_task(one.storage.wait_for_status(i, COMPLETED)) for i in (damaged, sound)]
        await asyncio.sleep(0.1)
        get = one.tables.get

        async def read(instance_id: str) -> InstanceRecord | None:
            if instance_id == damaged:
                raise HistoryCorrupted(instance_id, "a checksum is wrong")
            return await get(instance_id)

        one.tables.get = read  # type: ignore[method-assign]
        two.does = finish
        for instance_id in (damaged, sound):
            await one.storage.create_instance(creation(instance_id), ReusePolicy.NON_RUNNING)
        assert (await waiting[1]).origin.instance_id == sound
        with pytest.raises(HistoryCorrupted):
            await waiting[0]

    on_shared_hub(scenario)


def test_who_sends_while_the_store_is_closed_hears_that() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, _ = await pair(hub)
        one.tables.slow["arrivals"] = 1.0
        sending = asyncio.create_task(one.storage.send(raised(hub.id_for(one), "go")))
        await until(lambda: one.tables.asked["arrivals"] > 0)
        await one.kill()
        await until(sending.done)
        with pytest.raises(Unavailable):
            await sending

    on_shared_hub(scenario)


def test_a_long_recovery_tells_nothing_twice() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        target = hub.id_for(one)
        recover = one.tables.recover
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def long(partitions: Iterable[int], now: datetime, horizon: datetime) -> object:
            read = await recover(list(partitions), now, horizon)
            reading.set()
            await go_on.wait()
            return read

        one.tables.recover = long  # type: ignore[method-assign, assignment]
        await two.kill()
        three = hub.make()
        await three.storage.open()
        await reading.wait()
        for name in ("a", "b", "c"):
            await three.storage.send(raised(target, name))
            await until(lambda name=name: names(one.received)[-1:] == [name])
        go_on.set()
        await until(lambda: len(one.hold.leases) == 32)
        await three.storage.send(raised(target, "d"))
        await until(lambda: names(one.received)[-1:] == ["d"])
        assert names(one.received) == ["a", "b", "c", "d"]

    on_shared_hub(scenario)


def test_a_message_that_no_store_takes_is_not_everybodys_when_its_partition_goes() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        target = hub.id_for(one)
        write = one.tables.write

        async def fussy(process: int, changes: Changes, fence: Epochs) -> Outcome:
            if "bad" in names(placed.envelope for placed in changes.kept):
                raise CheckpointRefused("A text cannot be stored.")
            return await write(process, changes, fence)

        one.tables.write = fussy  # type: ignore[method-assign]
        sending = [asyncio.create_task(one.storage.send(raised(target, name))) for name in ("a", "bad", "b")]
        await until(lambda: len(one.received) == 3)
        await one.stop()
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), CheckpointRefused, type(None)]
        await until(lambda: names(two.received) == ["a", "b"])

    on_shared_hub(scenario)


def test_nothing_overtakes_what_came_while_the_backlog_was_read() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        target = hub.id_for(two)
        recover = one.tables.recover
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def long(partitions: Iterable[int], now: datetime, horizon: datetime) -> object:
            read = await recover(list(partitions), now, horizon)
            reading.set()
            await go_on.wait()
            return read

        one.tables.recover = long  # type: ignore[method-assign, assignment]
        await two.kill()
        three = hub.make()
        await three.storage.open()
        await reading.wait()
        await three.storage.send(raised(target, "first"))
        sending = asyncio.create_task(one.storage.send(raised(target, "second")))
        await asyncio.sleep(0.1)
        go_on.set()
        await until(lambda: len(one.received) == 2)
        assert names(one.received) == ["first", "second"]
        sending.cancel()

    on_shared_hub(scenario)
