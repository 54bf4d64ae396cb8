"""What is said to an instance that has ended is dropped; its id may be used again."""

from datetime import timedelta
from typing import Any

import pytest

from perdure.contracts.observer import InstanceDamaged, MessageDropped
from perdure.contracts.records import DamagedInstance
from perdure.core.messages import Envelope, RaiseEvent
from perdure.core.status import RuntimeStatus
from support.small_hub import Functions, on_virtual_time, small_hub, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.orchestrator
    def echo(recorder: Any, input: str | None) -> Any:
        return input

    @functions.orchestrator
    def waiting(recorder: Any, input: str | None) -> Any:
        return (yield recorder.wait_for_event("go", text))

    @functions.orchestrator
    def parent(recorder: Any, input: str | None) -> Any:
        try:
            yield recorder.call_child("waiting", None, "taken", None, text)
        except Exception as error:
            return str(error)

    return functions


class Facts:
    """Keeps what is announced."""

    wants = frozenset({MessageDropped, InstanceDamaged})

    def __init__(self) -> None:
        self.all: list[Any] = []

    def announce(self, fact: Any) -> None:
        self.all.append(fact)


def test_a_late_message_is_dropped_without_loading_the_instance(functions):
    async def scenario(clock):
        facts = Facts()
        hub, storage = small_hub(functions, clock, observers=[facts])
        async with hub:
            instance_id = await hub.client.start("echo", input="1")
            await storage.send(Envelope(instance_id, RaiseEvent("go")))

            assert storage.calls["load"] == 0
            assert [fact.instance_id for fact in facts.all if isinstance(fact, MessageDropped)] == [instance_id]

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("delay", [None, 60])
def test_an_ended_id_is_used_again(functions, restarted, delay):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            await hub.client.start("echo", instance_id="order", input="1")
            if restarted:
                await hub.restart()
            start_at = None if delay is None else clock.now() + timedelta(seconds=delay)
            await hub.client.start("waiting", instance_id="order", start_at=start_at)
            await hub.client.raise_event("order", "go", "2")
            record = await hub.client.wait_for_completion("order", 120)

            assert record is not None
            assert record.progress.output == '"2"'
            assert record.origin.name == "waiting"

    on_virtual_time(scenario)


def test_an_event_does_not_begin_what_is_scheduled(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            start_at = clock.now() + timedelta(seconds=60)
            await hub.client.start("waiting", instance_id="order", start_at=start_at)
            await hub.client.raise_event("order", "go", "2")
            record = await hub.client.get("order")

            assert record is not None
            assert record.progress.status is RuntimeStatus.Pending

    on_virtual_time(scenario)


def test_a_child_whose_id_is_taken_fails_and_names_it(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            await hub.client.start("waiting", instance_id="taken")
            instance_id = await hub.client.start("parent")
            record = await hub.client.wait_for_completion(instance_id, 1)

            assert record is not None
            assert record.progress.output is not None
            assert "'taken'" in record.progress.output

    on_virtual_time(scenario)


def test_an_unknown_orchestrator_fails_and_the_known_names_are_listed(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("ecko")
            record = await hub.client.wait_for_completion(instance_id, 1)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Failed
            assert record.progress.failure is not None
            assert "'ecko'" in record.progress.failure.message
            assert "Known orchestrators: 'echo'" in record.progress.failure.message

    on_virtual_time(scenario)


def test_a_damaged_history_leaves_the_others_running(functions):
    async def scenario(clock):
        facts = Facts()
        hub, storage = small_hub(functions, clock, observers=[facts])
        async with hub:
            for instance_id in ("damaged", "sound"):
                await hub.client.start("waiting", instance_id=instance_id)
            await hub.restart()
            load = storage.inner.load

            async def damaging(lease: Any, ids: Any) -> Any:
                found = await load(lease, ids)
                return {
                    i: DamagedInstance(s.record, "a checksum does not fit") if i == "damaged" else s
                    for i, s in found.items()
                }

            storage.inner.load = damaging
            for instance_id in ("damaged", "sound"):
                await hub.client.raise_event(instance_id, "go", "1")

            assert (await hub.client.wait_for_completion("sound", 1)) is not None
            damaged = await hub.client.get("damaged")
            assert damaged is not None
            assert damaged.progress.status is RuntimeStatus.Running
            assert [fact for fact in facts.all if isinstance(fact, InstanceDamaged)] == [
                InstanceDamaged("damaged", "a checksum does not fit")
            ]

    on_virtual_time(scenario)
