"""A process killed at any statement, and a log cut anywhere: nothing promised is lost, nothing is half there."""

import asyncio
import shutil
from pathlib import Path

import pytest

from perdure.contracts.records import InstanceFilter
from perdure.core.status import RuntimeStatus
from support.sqlite_store import opened, outside
from support.store_child import FINISHED, KILLED
from support.store_children import store_child
from support.store_stage import Stage
from support.stored_instances import creation, episode, later, names, raised, started

KILL_POINTS = range(1, 141)
STEPS = {"0": 3, "1": 4, "2": 5}
"""After which step an instance of the workload has how many events."""


def kill_at(folder: Path, points: range) -> list[tuple[Path, int, set[str]]]:
    """The file, the exit code and what was acknowledged, for each kill point."""
    with store_child("die_at_each", folder, points.start, points.stop) as child:
        output, _ = child.communicate(timeout=100)
    ends = [line.split(";") for line in output.splitlines()]
    assert [int(point) for point, _, _ in ends] == list(points)
    return [(folder / f"{point}.db", int(code), set(said.split(",")[:-1])) for point, code, said in ends]


@pytest.mark.timeout(110)
def test_what_was_acknowledged_survives_a_kill_at_any_statement(tmp_path: Path) -> None:
    ends = kill_at(tmp_path, KILL_POINTS)
    # Every statement of the workload was tried: the last ones ran to the end.
    assert {code for _, code, _ in ends[:60]} == {KILLED}
    assert ends[-1][1] == FINISHED
    # Kills landed in the middle of work, between first and last promise.
    assert ends[0][2] == set()
    assert len(ends[-1][2]) > 10
    for path, _, acknowledged in ends:
        asyncio.run(check(path, acknowledged))


def test_the_workload_ends_when_nobody_kills_it(tmp_path: Path) -> None:
    [(path, code, acknowledged)] = kill_at(tmp_path, range(10_000, 10_001))
    assert code == FINISHED
    assert {"purged i0", "late", "i2 2"} <= acknowledged
    asyncio.run(check(path, acknowledged))


async def check(path: Path, acknowledged: set[str]) -> None:
    async with opened(path) as stage:
        assert await stage.findings(liveness=False) == [], path
        if "unheld" in acknowledged:
            assert await stage.storage.get("unheld") is not None
        for n in range(3):
            await check_instance(stage, f"i{n}", acknowledged)
        if "late" in acknowledged:
            backlog = await stage.backlog()
            assert "late" in names(backlog.ready)


async def check_instance(stage: Stage, name: str, acknowledged: set[str]) -> None:
    """At least what was promised, and whole steps only."""
    promised = max((events for step, events in STEPS.items() if f"{name} {step}" in acknowledged), default=0)
    record = await stage.storage.get(name)
    if record is None:
        assert promised == 0 or (name == "i0" and "i0 2" in acknowledged)
        return
    assert f"purged {name}" not in acknowledged
    history = await stage.storage.history(name)
    assert len(history) in STEPS.values()
    assert len(history) >= promised
    assert (await stage.storage.get(f"{name}c") is not None) == (len(history) >= STEPS["1"])
    assert record.progress.status.is_terminal == (len(history) == STEPS["2"])


def test_a_log_cut_anywhere_gives_a_prefix_of_the_commits(tmp_path: Path) -> None:
    """What a power cut may leave of a log that was not synced (reliability.md D4): whole commits, in their order."""
    source = tmp_path / "source.db"

    async def work() -> None:
        async with opened(source) as stage:
            await stage.hold()
            last = await stage.begin(creation("a"))
            for n in range(40):
                last = episode(last, events=[started(later(n))] * (1 + n % 3), outbox=[raised("b", str(n))])
                await stage.commit(last)
            shutil.copyfile(source, tmp_path / "left.db")
            shutil.copyfile(f"{source}-wal", tmp_path / "left.db-wal")

    asyncio.run(work())
    log = (tmp_path / "left.db-wal").read_bytes()
    seen: set[int] = set()
    for cut in range(0, len(log), len(log) // 97):
        path = tmp_path / f"{cut}.db"
        shutil.copyfile(tmp_path / "left.db", path)
        # Some are torn, some end in what was on the disk before.
        Path(f"{path}-wal").write_bytes(log[:cut] + (b"\xa5" * 600 if cut % 2 else b""))
        with outside(path) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
            if not connection.execute("select count(*) from sqlite_master").fetchone()[0]:
                continue
        asyncio.run(check_prefix(path, seen))
    assert len(seen) > 10


async def check_prefix(path: Path, seen: set[int]) -> None:
    async with opened(path) as stage:
        assert await stage.findings(liveness=False) == []
        page = await stage.storage.query(InstanceFilter(), 10)
        history = await stage.storage.history("a")
        sent = names((await stage.backlog()).ready)
        assert sent == [str(n) for n in range(len(sent))]
        expected = 2 + sum(1 + n % 3 for n in range(len(sent)))
        assert len(history) == (expected if page.records else 0)
        assert all(record.progress.status is RuntimeStatus.Running for record in page.records)
        seen.add(len(sent))
