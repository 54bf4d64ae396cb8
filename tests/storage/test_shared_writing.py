"""Group commit: what waits goes together, and only who is at fault leaves."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.contracts.errors import CheckpointRefused, LeaseLost, Unavailable
from perdure.storage.changes import Changes, NumberedCreation, Outcome, Placed
from perdure.storage.shared.tables import Epochs, IdsTaken, PartitionsLost, ProcessBuried
from perdure.storage.shared.writing import BATCH_CHARACTERS_MAX, GroupWriter, Written
from support.stored_instances import creation, raised


class Store:
    """Notes each transaction, and answers it when told."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[int], Epochs]] = []
        self.faults: list[Callable[[Changes, Epochs], Exception | None]] = []
        self.gate = asyncio.Event()
        self.lost: set[int] = set()
        self.writer = GroupWriter(self._write, lambda fence: [p for p in fence if p in self.lost])

    async def _write(self, changes: Changes, fence: Epochs) -> Outcome:
        self.seen.append(([placed.position for placed in changes.kept], dict(fence)))
        await self.gate.wait()
        for fault in self.faults:
            if (error := fault(changes, fence)) is not None:
                raise error
        return Outcome()


def message(position: int) -> Changes:
    return Changes(kept=[Placed(position, raised("a"))])


def start(instance_id: str) -> Changes:
    return Changes(created=[NumberedCreation(1, 2, creation(instance_id))])


def on_store(scenario: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Store())

    asyncio.run(main())


async def results(*writing: "asyncio.Future[Written]") -> list[object]:
    return await asyncio.gather(*writing, return_exceptions=True)


def test_what_comes_in_one_turn_or_meanwhile_goes_together() -> None:
    async def scenario(store: Store) -> None:
        writing = [store.writer.write(message(n), {}) for n in (1, 2)]
        await asyncio.sleep(0)
        writing += [store.writer.write(message(n), {n: 1}) for n in (3, 4)]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(*writing)
        assert store.seen == [([1, 2], {}), ([3, 4], {3: 1, 4: 1})]
        assert writing[2].result().fence == {3: 1, 4: 1}, "the fence of the transaction, not only one's own"

    on_store(scenario)


def test_large_payloads_go_in_several_transactions() -> None:
    async def scenario(store: Store) -> None:
        large = "x" * (BATCH_CHARACTERS_MAX // 3 + 1)
        store.gate.set()
        changes = [Changes(kept=[Placed(n, raised("a", text=large))]) for n in range(5)]
        writing = [store.writer.write(each, {}) for each in (*changes, message(5))]
        assert store.writer.waiting_characters == 5 * len(large)
        await asyncio.gather(*writing)
        assert [positions for positions, _ in store.seen] == [[0, 1], [2, 3], [4, 5]]
        assert store.writer.waiting_characters == 0

    on_store(scenario)


def test_who_lost_its_partitions_leaves_and_the_others_go_again() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()
        store.faults.append(lambda changes, fence: PartitionsLost(frozenset({7})) if 7 in fence else None)
        told = await results(
            store.writer.write(message(1), {6: 1}),
            store.writer.write(message(2), {6: 1, 7: 1}),
            store.writer.write(message(3), {}),
        )
        assert isinstance(told[1], LeaseLost)
        assert told[1].partitions == {7}
        assert not isinstance(told[0], Exception)
        assert not isinstance(told[2], Exception)
        assert store.seen == [([1, 2, 3], {6: 1, 7: 1}), ([1, 3], {6: 1})]

    on_store(scenario)


def test_after_a_burial_only_what_needs_no_partition_goes_again() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()
        store.faults.append(lambda changes, fence: ProcessBuried(1) if len(store.seen) == 1 else None)
        told = await results(store.writer.write(message(1), {6: 1}), store.writer.write(message(2), {}))
        assert isinstance(told[0], LeaseLost)
        assert not isinstance(told[1], Exception)
        assert store.seen[1:] == [([2], {})]

    on_store(scenario)


def test_whose_ids_are_taken_leaves() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()

        def taken(changes: Changes, fence: Epochs) -> Exception | None:
            ids = {made.creation.start.target for made in changes.created}
            return IdsTaken(frozenset({"b"})) if "b" in ids else None

        store.faults.append(taken)
        told = await results(*(store.writer.write(start(name), {}) for name in "abc"))
        assert isinstance(told[1], IdsTaken)
        assert told[1].instance_ids == {"b"}
        assert [isinstance(one, Exception) for one in told] == [False, True, False]

    on_store(scenario)


def test_only_who_is_at_fault_is_refused() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()

        def refuses(changes: Changes, fence: Epochs) -> Exception | None:
            return CheckpointRefused("no") if any(placed.position == 2 for placed in changes.kept) else None

        store.faults.append(refuses)
        told = await results(*(store.writer.write(message(n), {}) for n in (1, 2, 3)))
        assert [isinstance(one, CheckpointRefused) for one in told] == [False, True, False]
        assert [positions for positions, _ in store.seen] == [[1, 2, 3], [1], [2], [3]]

    on_store(scenario)


def test_all_hear_that_the_store_is_away_and_the_next_are_tried() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()
        store.faults.append(lambda changes, fence: Unavailable("away") if len(store.seen) == 1 else None)
        told = await results(*(store.writer.write(message(n), {}) for n in (1, 2)))
        assert all(isinstance(one, Unavailable) for one in told)
        await store.writer.write(message(3), {})

    on_store(scenario)


def test_what_is_known_to_be_lost_is_not_tried() -> None:
    async def scenario(store: Store) -> None:
        store.gate.set()
        store.lost.add(7)
        with pytest.raises(LeaseLost):
            await store.writer.write(message(1), {7: 1})
        assert store.seen == []

    on_store(scenario)


def test_decided_waits_for_what_is_under_way() -> None:
    async def scenario(store: Store) -> None:
        writing = store.writer.write(message(1), {})
        decided = asyncio.create_task(store.writer.decided())
        await asyncio.sleep(0)
        assert not decided.done()
        store.gate.set()
        await decided
        assert writing.done()

    on_store(scenario)


def test_a_program_error_below_reaches_who_waits() -> None:
    async def scenario(store: Store) -> None:
        heard: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
        store.gate.set()
        store.faults.append(lambda changes, fence: TypeError("a program error"))
        told = await results(store.writer.write(message(1), {}))
        assert isinstance(told[0], TypeError)

    on_store(scenario)
