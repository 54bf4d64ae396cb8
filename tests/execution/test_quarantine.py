"""Suspected activities begin one after another; everything else begins at once."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from perdure.contracts.records import PendingActivity
from perdure.execution.black_box import BlackBox, activity_key
from perdure.execution.quarantine import Quarantine

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def activity(number: int) -> PendingActivity:
    return PendingActivity(number, "instance", "execution", number, number, "work", None)


def box_with(folder: Path, suspicions: dict[int, int]) -> BlackBox:
    store = folder / "hub.db"
    counts = {activity_key(number): count for number, count in suspicions.items()}
    store.with_name("hub.db.suspects").write_text(json.dumps(counts))
    box = BlackBox(store)
    box.open()
    return box


class Begun:
    """Notes what begins; ``ran`` lets it return."""

    def __init__(self, box: BlackBox) -> None:
        self.numbers: asyncio.Queue[int] = asyncio.Queue()
        self._box = box

    def __call__(self, activities: Sequence[PendingActivity]) -> None:
        for each in activities:
            self.numbers.put_nowait(each.number)

    def ran(self, number: int) -> None:
        self._box.enter(activity_key(number))
        self._box.leave(activity_key(number))


async def test_suspects_begin_one_by_one_the_most_suspected_first(tmp_path: Path):
    box = box_with(tmp_path, {1: 2, 2: 1, 3: 4, 4: 2})
    begun = Begun(box)
    quarantine = Quarantine(box, begun)
    free = quarantine.sift([activity(number) for number in range(6)])
    assert [each.number for each in free] == [0, 2, 5]
    order: list[int] = []
    for _ in range(3):
        number = await begun.numbers.get()
        assert begun.numbers.empty()
        begun.ran(number)
        order.append(number)
    assert order == [3, 1, 4]
    quarantine.stop()
    box.close()


async def test_a_suspect_that_runs_on_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("perdure.execution.quarantine.NEXT_AFTER_SECONDS", 0.1)
    box = box_with(tmp_path, {1: 3, 2: 2})
    begun = Begun(box)
    quarantine = Quarantine(box, begun)
    assert quarantine.sift([activity(1), activity(2)]) == []
    assert [await begun.numbers.get(), await begun.numbers.get()] == [1, 2]
    quarantine.stop()
    box.close()


async def test_a_stopped_quarantine_begins_nothing(tmp_path: Path):
    box = box_with(tmp_path, {1: 3})
    begun = Begun(box)
    quarantine = Quarantine(box, begun)
    quarantine.sift([activity(1)])
    quarantine.stop()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(begun.numbers.get(), 0.5)
    box.close()
