"""A store that one process holds gains no partition; whoever asks hears when the one it had is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from perdure.contracts.errors import LeaseLost, Unavailable
from perdure.contracts.records import Hold
from support.store_factories import FACTORIES
from support.store_stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]


@pytest.fixture(params=[name for name in FACTORIES if name.startswith(("memory", "sqlite"))])
def on_stage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on an open store."""

    async def staged(scenario: Scenario) -> None:
        stage = Stage(FACTORIES[request.param](), tmp_path)
        await stage.open()
        try:
            await scenario(stage)
        finally:
            await stage.close()

    return lambda scenario: asyncio.run(staged(scenario))


def test_it_has_one_partition_and_waits_while_that_is_held(on_stage: Callable[[Scenario], None]):
    async def scenario(stage: Stage) -> None:
        assert stage.storage.partition_count == 1
        await stage.hold()
        waiting = asyncio.create_task(stage.storage.turnover(stage.held))
        done, _ = await asyncio.wait([waiting], timeout=0.01)
        assert not done
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        again = asyncio.create_task(stage.storage.turnover(stage.held))
        await asyncio.sleep(0)
        await stage.storage.release([stage.lease])
        with pytest.raises(LeaseLost) as lost:
            await again
        assert lost.value.partitions == {0}

    on_stage(scenario)


def test_a_hold_that_is_not_in_force_is_told_at_once(on_stage: Callable[[Scenario], None]):
    async def scenario(stage: Stage) -> None:
        old = await stage.hold()
        await stage.storage.release([old])
        await stage.hold()
        with pytest.raises(LeaseLost) as lost:
            await stage.storage.turnover(Hold.of(old))
        assert lost.value.partitions == {0}
        with pytest.raises(LeaseLost) as lost:
            await stage.storage.turnover(Hold())
        assert lost.value.partitions == frozenset()

    on_stage(scenario)


def test_closing_the_store_ends_the_wait(on_stage: Callable[[Scenario], None]):
    async def scenario(stage: Stage) -> None:
        await stage.hold()
        waiting = asyncio.create_task(stage.storage.turnover(stage.held))
        await asyncio.sleep(0)
        await stage.storage.close()
        with pytest.raises(Unavailable):
            await waiting

    on_stage(scenario)
