"""Which versions instances get, and what becomes of those whose version is not run (semantics.md §15)."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import ClientOptions, ReusePolicy, TaskHubClient, WaitKind
from perdure.contracts.observer import VersionRejected
from perdure.core.decisions import DecisionLimits
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import FailureStrategy, MatchStrategy, Versioning
from perdure.engine.options import EngineOptions
from perdure.storage.memory.storage import MemoryStorage
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, WatchedStorage, on_virtual_time, small_hub, text

NONE, STRICT, OLDER = MatchStrategy.NONE, MatchStrategy.STRICT, MatchStrategy.CURRENT_OR_OLDER
FAIL = FailureStrategy.FAIL


class Warned:
    """Keeps what was rejected."""

    wants = frozenset({VersionRejected})

    def __init__(self) -> None:
        self.all: list[VersionRejected] = []

    def announce(self, fact: Any) -> None:
        self.all.append(fact)


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.orchestrator
    def waits(recorder: Any, input: str | None) -> Any:
        yield recorder.wait_for_event("go", text)
        return recorder.version

    @functions.orchestrator
    def tells(recorder: Any, input: str | None) -> Any:
        return recorder.version

    @functions.orchestrator
    def parent(recorder: Any, input: str | None) -> Any:
        own = yield recorder.call_child("tells", None, None, "0.1", text)
        default = yield recorder.call_child("tells", None, None, None, text)
        return [recorder.version, own, default]

    @functions.orchestrator
    def eternal(recorder: Any, input: str | None) -> Any:
        yield recorder.wait_for_event("go", text)
        if input == "last":
            return recorder.version
        recorder.continue_as_new("last")

    return functions


def app(
    functions: Functions, clock: SimulatedClock, store: MemoryStorage, versioning: Versioning, warned: Warned
) -> InProcessHub:
    """One deployment of the app over a store that others had before."""
    default = versioning.default_version
    return InProcessHub(
        functions.registry,
        clock,
        store,
        options=EngineOptions(DecisionLimits(default_version=default), versioning),
        client_options=ClientOptions(default_version=default, versioning=versioning),
        observers=[warned],
    )


async def output(hub: InProcessHub, instance_id: str) -> tuple[RuntimeStatus, str | None]:
    record = await hub.client.wait_for_completion(instance_id, 60)
    assert record is not None
    return record.progress.status, record.progress.output


def test_versions_are_given_at_creation(functions: Functions):
    async def scenario(clock):
        hub = app(functions, clock, MemoryStorage(), Versioning("1.0", OLDER), Warned())
        async with hub:
            await hub.client.start("tells", instance_id="default")
            await hub.client.start("tells", instance_id="own", version="0.5")
            await hub.client.start("parent", instance_id="parent", version="0.5")
            assert await output(hub, "default") == (RuntimeStatus.Completed, '"1.0"')
            assert await output(hub, "own") == (RuntimeStatus.Completed, '"0.5"')
            assert await output(hub, "parent") == (RuntimeStatus.Completed, '["0.5","\\"0.1\\"","\\"1.0\\""]')

    on_virtual_time(scenario)


def test_a_later_app_gives_its_own_to_new_ones_and_keeps_that_of_old_ones(functions: Functions):
    async def scenario(clock):
        store = MemoryStorage()
        first = app(functions, clock, store, Versioning("1.0", OLDER), Warned())
        await first.start()
        await first.client.start("eternal", instance_id="eternal")
        await first.client.start("tells", instance_id="done")
        await first.client.start("parent", instance_id="later", start_at=clock.now() + timedelta(seconds=9))
        await first.stop()
        second = app(functions, clock, store, Versioning("2.0", OLDER), Warned())
        async with second:
            await second.client.raise_event("eternal", "go")
            await asyncio.sleep(1)
            await second.client.raise_event("eternal", "go")
            assert await output(second, "eternal") == (RuntimeStatus.Completed, '"1.0"')
            assert await output(second, "later") == (RuntimeStatus.Completed, '["1.0","\\"0.1\\"","\\"2.0\\""]')
            again = await second.client.restart("done", new_instance_id="done")
            assert await output(second, again) == (RuntimeStatus.Completed, '"2.0"')
            same = await second.client.restart("eternal", version="1.5")
            record = await second.client.get(same)
            assert record is not None
            assert record.origin.version == "1.5"

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("match", "own", "runs"),
    [
        (NONE, "1.0", ["none", "1.0", "2.0", "10.0"]),
        (STRICT, "2.0", ["2.0"]),
        (STRICT, None, ["none"]),
        (OLDER, "2.0", ["none", "1.0", "2.0"]),
        (OLDER, "1.0", ["none", "1.0"]),
        (OLDER, None, ["none", "1.0", "2.0", "10.0"]),
    ],
)
@pytest.mark.parametrize("failure", list(FailureStrategy))
def test_what_is_not_run_is_left_or_fails(
    functions: Functions, match: MatchStrategy, own: str | None, runs: list[str], failure: FailureStrategy
):
    async def scenario(clock):
        store, warned = MemoryStorage(), Warned()
        before = app(functions, clock, store, Versioning(), Warned())
        await before.start()
        versions = {"none": None, "1.0": "1.0", "2.0": "2.0", "10.0": "10.0"}
        for name, version in versions.items():
            await before.client.start("waits", instance_id=name, version=version)
        await before.stop()
        after = app(functions, clock, store, Versioning(own, match, failure), warned)
        async with after:
            for name in versions:
                await after.client.raise_event(name, "go")
                await after.client.suspend(name) if name not in runs and failure is not FAIL else None
            await asyncio.sleep(100)
            for name, version in versions.items():
                record = await after.client.get(name)
                assert record is not None
                reasons = await after.client.waiting_on(record)
                if name in runs:
                    assert record.progress.status is RuntimeStatus.Completed
                    assert record.progress.output == (None if version is None else f'"{version}"')
                elif failure is FAIL:
                    assert record.progress.status is RuntimeStatus.Failed
                    assert record.progress.failure is not None
                    assert record.progress.failure.error_type == "VersionMismatch"
                    assert "this app has" in record.progress.failure.message
                else:
                    assert record.progress.status is RuntimeStatus.Running
                    assert reasons[0].kind is WaitKind.VERSION
                    assert reasons[0].reason is not None
                    assert "this app has" in reasons[0].reason
            rejected = [] if failure is FAIL else sorted(set(versions) - set(runs))
            assert sorted(fact.instance_id for fact in warned.all) == rejected, "one warning for each"

    on_virtual_time(scenario)


def test_what_was_left_goes_on_with_all_its_messages_when_its_version_comes(functions: Functions):
    async def scenario(clock):
        store = MemoryStorage()
        new = app(functions, clock, store, Versioning("2.0", OLDER), Warned())
        await new.start()
        await new.client.start("waits", instance_id="running")
        await new.stop()
        warned = Warned()
        old = app(functions, clock, store, Versioning("1.0", OLDER), warned)
        await old.start()
        await old.client.start("waits", instance_id="fresh", version="2.0")
        for _ in range(3):
            await old.client.raise_event("running", "go")
            await old.client.raise_event("fresh", "go")
        await asyncio.sleep(60)
        assert sorted(fact.instance_id for fact in warned.all) == ["fresh", "running"]
        await old.stop()
        again = app(functions, clock, store, Versioning("2.0", OLDER), Warned())
        async with again:
            for instance_id in ("running", "fresh"):
                assert await output(again, instance_id) == (RuntimeStatus.Completed, '"2.0"')

    on_virtual_time(scenario)


def test_what_is_left_to_others_can_be_ended(functions: Functions):
    async def scenario(clock):
        hub = app(functions, clock, MemoryStorage(), Versioning("1.0", STRICT), Warned())
        async with hub:
            await hub.client.start("waits", instance_id="x", version="2.0")
            await hub.client.terminate("x", "not wanted")
            assert await output(hub, "x") == (RuntimeStatus.Terminated, "not wanted")

    on_virtual_time(scenario)


@pytest.mark.parametrize("failure", list(FailureStrategy))
def test_a_rewind_asks_for_the_version_too(functions: Functions, failure: FailureStrategy):
    @functions.orchestrator
    def fails(recorder: Any, input: str | None) -> Any:
        raise ValueError("mine")

    async def scenario(clock):
        store, warned = MemoryStorage(), Warned()
        first = app(functions, clock, store, Versioning("2.0", OLDER), Warned())
        await first.start()
        await first.client.start("fails", instance_id="x")
        await output(first, "x")
        await first.stop()
        second = app(functions, clock, store, Versioning("1.0", OLDER, failure), warned)
        async with second:
            before = await second.client.get("x")
            await second.client.rewind("x")
            await asyncio.sleep(1)
            after = await second.client.get("x")
            assert before is not None
            assert after is not None
            if failure is FAIL:
                assert after.progress.failure is not None
                assert after.progress.failure.error_type == "VersionMismatch"
            else:
                assert after == before
                assert [fact.instance_id for fact in warned.all] == ["x"]

    on_virtual_time(scenario)


class _Changing:
    """Runs version 2.0 from some time on; keeps when it was asked for it."""

    def __init__(self, clock: SimulatedClock, seconds: float) -> None:
        self._clock = clock
        self.begins = clock.now() + timedelta(seconds=seconds)
        self.asked: list[float] = []
        self._from = clock.now()

    def compare(self, left: str | None, right: str | None) -> int:
        if left == right:
            return 0
        self.asked.append((self._clock.now() - self._from).total_seconds())
        return 0 if self._clock.now() >= self.begins else 1


def changing(functions: Functions, clock: SimulatedClock, seconds: float) -> tuple[InProcessHub, WatchedStorage, Any]:
    versions = _Changing(clock, seconds)
    options = EngineOptions(DecisionLimits(), Versioning("1.0", STRICT, compare=versions.compare))
    hub, storage = small_hub(functions, clock, options=options)
    return hub, storage, versions


def test_a_rejected_version_is_asked_for_again_less_and_less_often(functions: Functions):
    async def scenario(clock):
        hub, storage, versions = changing(functions, clock, 200)
        async with hub:
            for instance_id in ("x", "y"):
                await hub.client.start("tells", instance_id=instance_id, version="2.0")
            calls = storage.calls.copy()
            await asyncio.sleep(199)
            # Two instances of one version and name are one question; the store is asked nothing.
            gaps = [round(after - before) for before, after in itertools.pairwise(versions.asked[1:])]
            assert gaps == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
            assert storage.calls == calls
            for instance_id in ("x", "y"):
                assert await output(hub, instance_id) == (RuntimeStatus.Completed, '"2.0"')
            asked = len(versions.asked)
            await asyncio.sleep(1000)
            assert len(versions.asked) == asked, "nobody is rejected, nobody asks"

    on_virtual_time(scenario)


def test_a_message_that_comes_when_the_version_runs_is_taken_after_those_that_waited(functions: Functions):
    @functions.orchestrator
    def collects(recorder: Any, input: str | None) -> Any:
        got = []
        while len(got) < 4:
            got.append((yield recorder.wait_for_event("item", text)))
        return got

    async def scenario(clock):
        hub, _, versions = changing(functions, clock, 50)
        async with hub:
            await hub.client.start("collects", instance_id="x", version="2.0")
            for number in "12":
                await hub.client.raise_event("x", "item", number)
            await asyncio.sleep((versions.begins - clock.now()).total_seconds())
            for number in "34":
                await hub.client.raise_event("x", "item", number)
            assert await output(hub, "x") == (RuntimeStatus.Completed, '["1","2","3","4"]')
            assert clock.now() == versions.begins, "it did not wait for the next question"

    on_virtual_time(scenario)


def test_what_replaces_a_rejected_instance_is_asked_for_by_its_own_version(functions: Functions):
    async def scenario(clock):
        hub, _, _ = changing(functions, clock, 20)
        hub.client = TaskHubClient(hub.storage, clock, ClientOptions(reuse=ReusePolicy.ANY))
        async with hub:
            for version in ("2.0", "3.0"):
                await hub.client.start("tells", instance_id="x", version=version)
            await asyncio.sleep(60)
            assert await output(hub, "x") == (RuntimeStatus.Completed, '"3.0"')

    on_virtual_time(scenario)


@pytest.mark.parametrize("then", ["terminate", "stop", "replace"])
def test_what_is_rejected_may_end_otherwise(functions: Functions, then: str):
    async def scenario(clock):
        hub, _, versions = changing(functions, clock, 20)
        hub.client = TaskHubClient(hub.storage, clock, ClientOptions(reuse=ReusePolicy.ANY))
        async with hub:
            await hub.client.start("waits", instance_id="x", version="2.0")
            await hub.client.raise_event("x", "go")
            await asyncio.sleep(5)
            if then == "terminate":
                await hub.client.terminate("x", "not wanted")
            elif then == "replace":
                await hub.client.start("tells", instance_id="x", version="1.0")
            else:
                await hub.stop()
                asked = len(versions.asked)
                await asyncio.sleep(60)
                assert len(versions.asked) == asked
                await hub.start()
            await asyncio.sleep(100)
            record = await hub.client.get("x")
            assert record is not None
            wanted = {"terminate": "not wanted", "replace": '"1.0"', "stop": '"2.0"'}[then]
            assert record.progress.output == wanted

    on_virtual_time(scenario)


def test_a_rewind_goes_on_when_its_version_runs(functions: Functions):
    @functions.orchestrator
    def fails_once(recorder: Any, input: str | None) -> Any:
        if not tried:
            tried.append(recorder.version)
            raise ValueError("mine")
        return "done"

    tried: list[Any] = []

    async def scenario(clock):
        store = MemoryStorage()
        first = app(functions, clock, store, Versioning("2.0", STRICT), Warned())
        await first.start()
        await first.client.start("fails_once", instance_id="x")
        await output(first, "x")
        await first.stop()
        versions = _Changing(clock, 40)
        second = app(functions, clock, store, Versioning("1.0", STRICT, compare=versions.compare), Warned())
        async with second:
            await second.client.rewind("x")
            await asyncio.sleep(100)
            assert await output(second, "x") == (RuntimeStatus.Completed, '"done"')

    on_virtual_time(scenario)


@pytest.mark.parametrize(("version", "seconds"), [("1.0", 25), ("2.0", 5), ("2.0", 20)])
def test_what_replaces_a_rejected_instance_gets_none_of_its_messages(
    functions: Functions, version: str, seconds: float
):
    @functions.orchestrator
    def collects(recorder: Any, input: str | None) -> Any:
        got = []
        while len(got) < 2:
            got.append((yield recorder.wait_for_event("item", text)))
        return got

    async def scenario(clock):
        hub, _, _ = changing(functions, clock, 20)
        hub.client = TaskHubClient(hub.storage, clock, ClientOptions(reuse=ReusePolicy.ANY))
        async with hub:
            await hub.client.start("collects", instance_id="x", version="2.0")
            await hub.client.raise_event("x", "item", '"for the former"')
            await asyncio.sleep(seconds)
            await hub.client.start("collects", instance_id="x", version=version)
            for number in "12":
                await asyncio.sleep(30)
                await hub.client.raise_event("x", "item", number)
            assert await output(hub, "x") == (RuntimeStatus.Completed, '["1","2"]')

    on_virtual_time(scenario)
