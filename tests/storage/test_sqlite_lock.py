"""One process on a store (reliability.md D7)."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from perdure.contracts.errors import StoreInUse
from perdure.storage.sqlite.lock_file import read_holder
from support.sqlite_store import opened
from support.store_children import ended, store_child
from support.stored_instances import creation


def test_a_second_process_is_refused_and_hears_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with store_child("hold", path, "http://localhost:7071") as holder:
        pid = int(holder.stdout.readline())  # type: ignore[union-attr]
        assert pid == holder.pid
        begun = time.monotonic()

        async def scenario() -> None:
            with pytest.raises(StoreInUse, match=f"process {pid}, reachable at http://localhost:7071") as refused:
                async with opened(path):
                    pass
            assert (refused.value.pid, refused.value.url) == (pid, "http://localhost:7071")

        asyncio.run(scenario())
        assert time.monotonic() - begun < 5
        assert set(json.loads(Path(f"{path}.lock").read_text())) == {"pid", "since", "url"}


def test_a_killed_holder_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    for _ in range(5):
        with store_child("hold", path) as holder:
            holder.stdout.readline()  # type: ignore[union-attr]
            holder.send_signal(signal.SIGKILL)
            holder.wait(10)
        assert str(holder.pid) in Path(f"{path}.lock").read_text()

        async def scenario() -> None:
            async with opened(path, lock_seconds_max=0.0) as stage:
                assert read_holder(f"{path}.lock")["pid"] == os.getpid()
                await stage.create(creation("a"))

        asyncio.run(scenario())
        assert Path(f"{path}.lock").read_text() == ""


def test_a_child_that_outlives_its_parent_does_not_keep_the_store(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with store_child("leave_child", path) as holder:
        orphan = int(holder.stdout.readline())  # type: ignore[union-attr]
        holder.wait(10)
        with ended(orphan):

            async def scenario() -> None:
                async with opened(path, lock_seconds_max=0.0):
                    pass

            asyncio.run(scenario())


def test_two_in_one_process_do_not_share_a_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db") as stage:
            with pytest.raises(StoreInUse) as refused:
                async with opened(tmp_path / "hub.db", lock_seconds_max=0.0):
                    pass
            assert refused.value.pid == os.getpid()
            await stage.create(creation("a"))

    asyncio.run(scenario())


def test_a_holder_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db") as stage:

            async def second() -> None:
                async with opened(tmp_path / "hub.db", lock_seconds_max=20.0):
                    pass

            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            await stage.close()
            await waiting

    asyncio.run(scenario())


def test_of_processes_that_start_at_once_one_gets_the_store(tmp_path: Path) -> None:
    with (
        store_child("race", tmp_path / "hub.db") as one,
        store_child("race", tmp_path / "hub.db") as two,
        store_child("race", tmp_path / "hub.db") as three,
    ):
        said = [child.stdout.readline().strip() for child in (one, two, three)]  # type: ignore[union-attr]
        assert said.count("held") == 1
        assert sum(line.startswith("in use") for line in said) == 2
