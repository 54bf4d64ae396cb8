"""What the log of a process says when others die, when it is taken for dead, and when the store goes away."""

from datetime import timedelta

import pytest

from support.shared_hub import PARTITIONS, SharedHub, on_shared_hub, until


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.getMessage() for record in caplog.records if record.name == "perdure.storage"]


def test_a_killed_process_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(hub: SharedHub) -> None:
        killed, *others = [await hub.join() for _ in range(3)]
        await until(lambda: sorted(hub.held()) == [10, 11, 11])
        left = len(killed.hold.leases)
        assert lines(caplog) == []
        await killed.kill()
        await until(lambda: sum(len(other.hold.leases) for other in others) == PARTITIONS)
        assert lines(caplog) == [
            f"'{killed.name}' has not renewed its lease: the {left} partitions it had go to the others."
        ]

    on_shared_hub(scenario)


def test_a_store_that_goes_and_comes_back_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        process.tables.is_cut = True
        await until(lambda: not process.hold.leases)
        process.tables.is_cut = False
        await until(lambda: len(process.hold.leases) == PARTITIONS)
        away, lost, back = lines(caplog)
        assert away.startswith("The hub's store cannot be used now, and is tried again until it can: ")
        assert lost == "The lease could not be renewed in time: this process lets go of what it held."
        assert back == "The hub's store can be used again."

    on_shared_hub(scenario)


def test_who_was_taken_for_dead_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(hub: SharedHub) -> None:
        zombie, other = await hub.join(), await hub.join()
        await until(lambda: hub.held() == [16, 16])
        zombie.tables.slow["renew"] = 30.0
        hub.store_clock.jump(timedelta(seconds=60))
        await until(lambda: len(other.hold.leases) == PARTITIONS)
        zombie.tables.slow.clear()
        await until(lambda: hub.held() == [16, 16])
        assert (
            lines(caplog)[0] == f"'{zombie.name}' has not renewed its lease: the 16 partitions it had go to the others."
        )

    on_shared_hub(scenario)
