"""Hints go out at most once a millisecond to each process, and never too large."""

import asyncio

import msgspec

from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.tables import Hint
from support.shared_hub import SharedHub, on_shared_hub, until


class Listening(SharedMemoryTables):
    """Notes hints with their times."""

    def __init__(self, hub: SharedHub) -> None:
        super().__init__(hub.memory)
        self._clock = hub.clock
        self.heard: list[tuple[float, int, Hint]] = []

    async def hint(self, process: int, hint: Hint) -> None:
        self.heard.append((self._clock.now().timestamp(), process, hint))


def test_what_is_told_in_a_millisecond_goes_together() -> None:
    async def scenario(hub: SharedHub) -> None:
        tables = Listening(hub)
        hints = Hints(tables, lambda: 5)
        hints.tell(1, Hint(sender=0, has_arrivals=True))
        hints.tell(1, Hint(sender=0, watched=("a",)))
        hints.tell(2, Hint(sender=0, has_offers=True))
        await until(lambda: len(tables.heard) == 2)
        assert [hint for _, process, hint in tables.heard if process == 1] == [
            Hint(sender=5, has_arrivals=True, watched=("a",))
        ]
        for n in range(50):
            hints.tell(1, Hint(sender=0, reached=(f"i{n % 7}",)))
        await until(lambda: len(tables.heard) == 3)
        first, later = (at for at, process, _ in tables.heard if process == 1)
        assert later - first >= 0.0009
        assert set(tables.heard[2][2].reached) == {f"i{n}" for n in range(7)}

    on_shared_hub(scenario)


def test_many_ids_go_in_several_hints_and_one_too_long_in_none() -> None:
    async def scenario(hub: SharedHub) -> None:
        tables = Listening(hub)
        hints = Hints(tables, lambda: 5)
        ids = tuple(f"instance-\N{SNOWMAN}-{n:05}" for n in range(1_000))
        hints.tell(1, Hint(sender=0, has_arrivals=True, watched=(*ids, "x" * 9_000), reached=ids[:500]))
        await until(lambda: sum(len(hint.watched) for *_, hint in tables.heard) == 1_000)
        await until(lambda: sum(len(hint.reached) for *_, hint in tables.heard) == 500)
        assert tuple(i for *_, hint in tables.heard for i in hint.watched) == ids
        assert sum(hint.has_arrivals for *_, hint in tables.heard) == 1
        assert all(len(msgspec.json.encode(hint)) < 8_000 for *_, hint in tables.heard)

    on_shared_hub(scenario)


def test_while_a_hint_is_on_its_way_the_next_one_takes_in_what_comes() -> None:
    async def scenario(hub: SharedHub) -> None:
        tables = Listening(hub)
        arrives = asyncio.Event()

        async def slow(process: int, hint: Hint) -> None:
            tables.heard.append((0.0, process, hint))
            await arrives.wait()

        tables.hint = slow  # type: ignore[method-assign]
        hints = Hints(tables, lambda: 5)
        for n in range(20):
            hints.tell(1, Hint(sender=0, reached=(f"i{n}",)))
            await asyncio.sleep(0.01)
        assert [hint.reached for *_, hint in tables.heard] == [("i0",)]
        arrives.set()
        await until(lambda: len(tables.heard) == 2)
        assert tables.heard[1][2].reached == tuple(f"i{n}" for n in range(1, 20))

    on_shared_hub(scenario)


def test_a_process_without_a_number_tells_nothing() -> None:
    async def scenario(hub: SharedHub) -> None:
        tables = Listening(hub)
        sender: list[int | None] = [None]
        hints = Hints(tables, lambda: sender[0])
        hints.tell(1, Hint(sender=0, has_arrivals=True))
        hub_time = hub.clock.now()
        await until(lambda: (hub.clock.now() - hub_time).total_seconds() > 0.01)
        assert tables.heard == []
        sender[0] = 3
        hints.tell(1, Hint(sender=0, has_arrivals=True))
        await until(lambda: len(tables.heard) == 1)

    on_shared_hub(scenario)
