"""Rows that are asked for at once are read together."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any

import pytest

from perdure.storage.postgres.lookups import IDS_MAX, Lookups


class Table:
    """A table of these ids, whose answers wait until they are let through."""

    def __init__(self, *ids: str) -> None:
        self._rows = {instance_id: (0, instance_id) for instance_id in ids}
        self.asked: list[Sequence[str]] = []
        self.through = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, ids: Sequence[str]) -> list[Any]:
        self.asked.append(list(ids))
        await self.through.wait()
        if self.error is not None:
            raise self.error
        return [self._rows[instance_id] for instance_id in ids if instance_id in self._rows]


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def begun(lookups: Lookups, *ids: str) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(lookups.row_of(instance_id)) for instance_id in ids]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


@on_a_loop
async def test_those_of_one_turn_are_one_question() -> None:
    table = Table("a", "b")
    lookups = Lookups(table.ask)
    tasks = await begun(lookups, "a", "b", "missing", "a")
    table.through.set()
    assert await asyncio.gather(*tasks) == [(0, "a"), (0, "b"), None, (0, "a")]
    assert table.asked == [["a", "b", "missing"]]


@on_a_loop
async def test_what_is_asked_while_two_are_under_way_is_the_next_question() -> None:
    table = Table("a", "b", "c", "d")
    lookups = Lookups(table.ask)
    tasks = [
        *await begun(lookups, "a"),
        *await begun(lookups, "b"),
        *await begun(lookups, "c"),
        *await begun(lookups, "d"),
    ]
    assert table.asked == [["a"], ["b"]]
    table.through.set()
    assert await asyncio.gather(*tasks) == [(0, "a"), (0, "b"), (0, "c"), (0, "d")]
    assert table.asked == [["a"], ["b"], ["c", "d"]]


@on_a_loop
async def test_a_row_under_way_is_read_again_for_whoever_asks_later() -> None:
    table = Table("a")
    lookups = Lookups(table.ask)
    tasks = [*await begun(lookups, "a"), *await begun(lookups, "a")]
    table.through.set()
    await asyncio.gather(*tasks)
    assert table.asked == [["a"], ["a"]]


@on_a_loop
async def test_an_error_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    table = Table("a", "b")
    lookups = Lookups(table.ask)
    tasks = await begun(lookups, "a", "b")
    table.error = ValueError("no")
    table.through.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no", "no"]
    table.error = None
    assert await lookups.row_of("a") == (0, "a")


@on_a_loop
async def test_whoever_goes_away_takes_nothing_from_the_others() -> None:
    table = Table("a", "b")
    lookups = Lookups(table.ask)
    first, second = await begun(lookups, "a", "b")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    table.through.set()
    assert await second == (0, "b")


@on_a_loop
async def test_very_many_are_several_questions() -> None:
    ids = [f"i{n}" for n in range(IDS_MAX + 1)]
    table = Table(*ids)
    table.through.set()
    lookups = Lookups(table.ask)
    assert len(await asyncio.gather(*map(lookups.row_of, ids))) == IDS_MAX + 1
    assert [len(asked) for asked in table.asked] == [IDS_MAX, 1]
