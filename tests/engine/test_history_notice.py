"""A history that has become long is announced, once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure.contracts.observer import Fact, HistoryGrown
from perdure.formats.stored import write_events
from perdure.storage.options import Placement, StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage
from perdure.testing.faulty_storage import FileStorage
from perdure.testing.in_process_hub import InProcessHub, default_options
from support.small_hub import Functions, on_virtual_time, small_hub, text


class Noticed:
    """Keeps what is announced."""

    wants = frozenset({HistoryGrown})

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def announce(self, fact: Fact) -> None:
        self.facts.append(fact)


def test_a_long_history_is_announced_once() -> None:
    functions = Functions()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def sequence(recorder: Any, input: str | None) -> Any:
        for number in range(10):
            yield recorder.call_activity("echo", str(number), text)

    noticed = Noticed()

    async def scenario(clock: Any) -> None:
        options = msgspec.structs.replace(default_options(), history_events_noticed=12)
        hub, _ = small_hub(functions, clock, options=options, observers=[noticed])
        async with hub:
            instance_id = await hub.client.start("sequence")
            await hub.client.wait_for_completion(instance_id, 60)
            [fact] = noticed.facts
            assert isinstance(fact, HistoryGrown)
            assert (fact.instance_id, fact.name, fact.events) == (instance_id, "sequence", 12)

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_large_history_is_announced_once_by_its_size_as_stored(restarted: bool, tmp_path: Path) -> None:
    """Exact on every store, also when the instance was loaded in between."""
    functions = Functions()

    @functions.orchestrator
    def collector(recorder: Any, input: str | None) -> Any:
        for _ in range(6):
            yield recorder.wait_for_event("item", text)

    async def sizes(hub: InProcessHub, clock: Any) -> list[int]:
        """What each episode adds; then the noticed size is met by the fourth."""
        async with hub:
            instance_id = await hub.client.start("collector")
            for number in range(6):
                await hub.client.raise_event(instance_id, "item", f'"{number}{"ü" * 500}"')
                if restarted and number == 2:
                    await hub.restart()
            await hub.client.wait_for_completion(instance_id, 60)
            return [len(write_events(await hub.client.history(instance_id)))]

    for kind in ("memory", "sqlite"):
        noticed = Noticed()

        async def scenario(clock: Any, kind: str = kind, noticed: Noticed = noticed) -> None:
            options = msgspec.structs.replace(default_options(), history_bytes_noticed=3000)
            parts: dict[str, Any] = {"options": options, "observers": [noticed]}
            if kind == "sqlite":
                stored = StorageOptions(placement=Placement.INLINE)
                parts["store"] = FileStorage(lambda: SqliteStorage(str(tmp_path / "hub.db"), clock, stored))
            [whole] = await sizes(InProcessHub(functions.registry, clock, **parts), clock)
            [fact] = noticed.facts
            assert isinstance(fact, HistoryGrown)
            # Three events of 1,000 bytes each, and little more.
            assert fact.events == 8
            assert 3000 <= fact.size < 4000 < whole

        on_virtual_time(scenario)
