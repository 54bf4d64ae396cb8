"""Messages between the processes of a shared hub: pushed, in order, neither lost nor doubled."""

import asyncio
import random

import pytest

from perdure.contracts.errors import LeaseLost
from perdure.contracts.records import CreateOutcome, ReusePolicy, Round
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.shared.keeping import LeaseTimes
from support.shared_hub import Process, SharedHub, on_shared_hub, until
from support.stored_instances import creation, episode, later, names, raised

TIMES = LeaseTimes()
COMPLETED = frozenset({RuntimeStatus.Completed})


async def pair(hub: SharedHub) -> tuple[Process, Process]:
    one, two = await hub.join(), await hub.join()
    await until(lambda: [len(one.hold.leases), len(two.hold.leases)] == [16, 16])
    return one, two


@pytest.mark.parametrize("hints", ["heard", "lost"])
def test_a_message_for_another_process_is_pushed_or_late(hints: str) -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        one.tables.loses_hints = hints == "lost"
        target = hub.id_for(two)
        await one.storage.send(raised(target))
        assert not two.received or hints == "heard"
        took = await until(lambda: bool(two.received))
        assert took < 0.05 if hints == "heard" else took <= TIMES.renewal + 0.1
        assert [e.target for e in two.received] == [target]
        await asyncio.sleep(10)
        assert len(two.received) == 1

    on_shared_hub(scenario)


def test_what_an_episode_sends_reaches_another_process_in_order() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        here, there = hub.id_for(one), hub.id_for(two)
        client = asyncio.create_task(one.storage.create_instance(creation(here), ReusePolicy.NON_RUNNING))
        await until(lambda: bool(one.received))
        last = await one.run(one.received[0], outbox=[raised(there, "0"), raised(here, "own"), raised(there, "1")])
        await client
        for n in range(2, 30, 2):
            last = episode(last, outbox=[raised(there, str(n)), raised(there, str(n + 1))])
            await one.commit(last)
        await until(lambda: len(two.received) == 30)
        assert names(two.received) == [str(n) for n in range(30)]
        assert names(one.received) == ["StartExecution", "own"]

    on_shared_hub(scenario)


def test_a_due_time_travels_along() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        await one.storage.send(raised(hub.id_for(two), due_at=later(9_999)))
        await until(lambda: bool(two.received))
        assert two.received[0].due_at == later(9_999)

    on_shared_hub(scenario)


@pytest.mark.parametrize("hints", ["heard", "lost"])
def test_a_start_and_its_end_are_known_across_processes(hints: str) -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        one.tables.loses_hints = two.tables.loses_hints = hints == "lost"
        instance_id = hub.id_for(two)
        assert (
            await one.storage.create_instance(creation(instance_id), ReusePolicy.NON_RUNNING) is CreateOutcome.CREATED
        )
        waiting = asyncio.create_task(one.storage.wait_for_status(instance_id, COMPLETED))
        await until(lambda: bool(two.received))
        first = await two.run(two.received[0])
        await asyncio.sleep(5)
        assert not waiting.done()
        await two.commit(episode(first, status=RuntimeStatus.Completed, output='"done"'))
        took = await until(waiting.done)
        assert took < 0.05 if hints == "heard" else took <= TIMES.owed + 0.1
        assert (await waiting).progress.output == '"done"'

    on_shared_hub(scenario)


def test_who_waits_hears_also_when_it_asked_a_moment_too_late() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        instance_id = hub.id_for(two)

        async def finish(start: Envelope) -> None:
            await two.run(start, status=RuntimeStatus.Completed)

        two.does = finish
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await one.storage.create_instance(creation(instance_id), ReusePolicy.NON_RUNNING)
        await one.storage.wait_for_status(instance_id, COMPLETED)
        assert loop.time() - begun < 0.05

    on_shared_hub(scenario)


def test_who_waits_hears_of_an_instance_that_moves_to_another_process() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        three = hub.make()
        await three.storage.open()
        instance_id = hub.id_for(two)
        await three.storage.create_instance(creation(instance_id), ReusePolicy.NON_RUNNING)
        waiting = asyncio.create_task(three.storage.wait_for_status(instance_id, COMPLETED))
        await until(lambda: bool(two.received))
        first = await two.run(two.received[0])
        await two.kill()
        await until(lambda: len(one.hold.leases) == 32)
        await asyncio.sleep(TIMES.owed + 0.5)
        loaded = await one.storage.load(one.hold, [instance_id])
        assert loaded[instance_id].record.progress == first.progress
        await one.commit(episode(first, status=RuntimeStatus.Completed))
        assert await until(waiting.done) < 0.05

    on_shared_hub(scenario)


@pytest.mark.parametrize("seed", range(8))
def test_messages_come_once_and_in_order_while_partitions_move(seed: int) -> None:
    """Each sender waits for one message before the next; processes come, go and are killed meanwhile."""

    async def scenario(hub: SharedHub) -> None:
        dice = random.Random(seed)
        taken: dict[str, list[str]] = {}

        def consumes(process: Process) -> None:
            async def consume(envelope: Envelope) -> None:
                while process.hold.partition_of(envelope.target) in process.hold.leases:
                    try:
                        await process.storage.commit(process.hold, Round([], [], [envelope]))
                    except LeaseLost as lost:
                        for partition in lost.partitions:
                            process.hold.leases.pop(partition, None)
                    else:
                        taken.setdefault(envelope.target, []).extend(names([envelope]))
                        return

            process.does = consume

        async def sender(number: int) -> None:
            for n in range(40):
                process = dice.choice(running)
                await asyncio.sleep(dice.random() * 0.2)
                await process.storage.send(raised(f"t{number}", str(n)))

        running: list[Process] = []
        for _ in range(3):
            process = hub.make()
            consumes(process)
            await process.start()
            running.append(process)
        await until(lambda: sum(len(p.hold.leases) for p in running) == 32)
        senders = [asyncio.create_task(sender(number)) for number in range(6)]
        for _ in range(4):
            await asyncio.sleep(dice.random() * 2)
            process = hub.make()
            consumes(process)
            await process.start()
            await asyncio.sleep(dice.random() * 2)
            running.append(process)
        await asyncio.gather(*senders)
        await until(lambda: sum(map(len, taken.values())) >= 6 * 40)
        assert taken == {f"t{number}": [str(n) for n in range(40)] for number in range(6)}
        assert not hub.memory.rows.inbox

    on_shared_hub(scenario)
