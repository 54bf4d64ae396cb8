"""A failed orchestration goes on from before its failure, with its children (semantics.md §13)."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import WaitKind
from perdure.core import events as ev
from perdure.core.messages import Envelope, Rewind
from perdure.core.retry import RetryPolicy
from perdure.core.status import RuntimeStatus
from perdure.testing.in_process_hub import InProcessHub
from support.small_hub import Functions, on_virtual_time, small_hub, text

SEVEN = '"\\"7\\""'
"""What comes out when the text 7 was an event's input."""
FAILED, COMPLETED, TERMINATED = RuntimeStatus.Failed, RuntimeStatus.Completed, RuntimeStatus.Terminated


class Steps:
    """An activity that fails for the inputs in ``broken``, and remembers what it ran for."""

    def __init__(self, functions: Functions) -> None:
        self.broken: set[str | None] = set()
        self.runs: list[str | None] = []
        self.calls = 0

        @functions.activity
        def step(input: str | None) -> str | None:
            self.runs.append(input)
            if input in self.broken:
                raise ValueError(f"{input} is broken")
            return f'"{input}!"'


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def steps(functions: Functions) -> Steps:
    return Steps(functions)


async def ended(hub: InProcessHub, instance_id: str, seconds: float = 600) -> tuple[RuntimeStatus, str | None]:
    record = await hub.client.wait_for_completion(instance_id, seconds)
    assert record is not None, await hub.client.history(instance_id)
    return record.progress.status, record.progress.output


async def status_of(hub: InProcessHub, instance_id: str) -> RuntimeStatus:
    record = await hub.client.get(instance_id)
    assert record is not None
    return record.progress.status


async def rewound(hub: InProcessHub, instance_id: str) -> tuple[RuntimeStatus, str | None]:
    """Rewind and wait for the end."""
    await hub.client.rewind(instance_id, "fixed")
    return await ended(hub, instance_id)


def kinds(history: list[ev.HistoryEvent]) -> list[str]:
    return [type(event).__name__ for event in history if not isinstance(event, ev.OrchestratorStarted)]


def test_what_failed_runs_again_and_nothing_else(functions: Functions, steps: Steps):
    @functions.orchestrator
    def chain(recorder: Any, input: str | None) -> Any:
        a = yield recorder.call_activity("step", "a", text)
        b = yield recorder.call_activity("step", "b", text)
        c = yield recorder.call_activity("step", "c", text)
        return [a, b, c]

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"b"}
            await hub.client.start("chain", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            before = await hub.client.get("x")
            steps.broken = set()
            assert await rewound(hub, "x") == (COMPLETED, '["\\"a!\\"","\\"b!\\"","\\"c!\\""]')
            after = await hub.client.get("x")

            assert steps.runs == ["a", "b", "b", "c"]
            assert before is not None
            assert after is not None
            assert after.origin.execution_id != before.origin.execution_id
            assert after.origin.created_at == before.origin.created_at
            assert after.progress.failure is None
            assert kinds(await hub.client.history("x")) == [
                "ExecutionStarted", "TaskScheduled", "TaskCompleted", "ExecutionRewound",
                "TaskScheduled", "TaskCompleted", "TaskScheduled", "TaskCompleted", "ExecutionCompleted",
            ]  # fmt: skip
            event = next(e for e in await hub.client.history("x") if isinstance(e, ev.ExecutionRewound))
            assert (event.reason, event.former_execution_id) == ("fixed", before.origin.execution_id)

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rewound_one_can_be_reloaded_and_fail_and_be_rewound_again(functions, steps, restarted):
    @functions.orchestrator
    def waits(recorder: Any, input: str | None) -> Any:
        a = yield recorder.call_activity("step", "a", text)
        yield recorder.wait_for_event("go", text)
        b = yield recorder.call_activity("step", "b", text)
        return [a, b]

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"a", "b"}
            await hub.client.start("waits", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = {"b"}
            await hub.client.rewind("x", None)
            if restarted:
                await hub.restart()
            await asyncio.sleep(1)
            await hub.client.raise_event("x", "go")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            if restarted:
                await hub.restart()
            assert (await rewound(hub, "x"))[0] is COMPLETED
            assert steps.runs == ["a", "a", "b", "b"]

    on_virtual_time(scenario)


def test_retries_begin_anew_without_their_timers(functions: Functions, steps: Steps):
    policy = RetryPolicy(timedelta(seconds=5), 3)

    @functions.orchestrator
    def retried(recorder: Any, input: str | None) -> Any:
        a = yield recorder.call_activity("step", "a", text)
        b = yield recorder.call_activity_with_retry("step", "b", text, policy)
        return [a, b]

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"b"}
            await hub.client.start("retried", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            assert steps.runs == ["a", "b", "b", "b"]
            await hub.client.rewind("x", None)
            await asyncio.sleep(7)
            steps.broken = set()
            assert (await ended(hub, "x"))[0] is COMPLETED
            assert steps.runs == ["a", "b", "b", "b", "b", "b", "b"]
            history = await hub.client.history("x")
            assert kinds(history).count("TimerCreated") == 2
            assert [e.task_id for e in history if isinstance(e, ev.TaskScheduled)] == [0, 1, 3, 5]

    on_virtual_time(scenario)


def test_a_retried_call_beside_others_keeps_the_numbers_of_the_code(functions: Functions, steps: Steps):
    policy = RetryPolicy(timedelta(seconds=5), 2)

    @functions.orchestrator
    def beside(recorder: Any, input: str | None) -> Any:
        bad = recorder.call_activity_with_retry("step", "bad", text, policy)
        good = recorder.call_activity_with_retry("step", "good", text, policy)
        slow = recorder.wait_for_event("slow", text)
        yield recorder.any_of([bad, good, slow])
        yield slow
        last = recorder.call_activity("step", "last", text)
        return (yield recorder.all_of([good, last, bad]))

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"bad", "good"}
            await hub.client.start("beside", instance_id="x")
            await asyncio.sleep(1)
            steps.broken = {"bad"}
            await asyncio.sleep(10)
            await hub.client.raise_event("x", "slow")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            assert await rewound(hub, "x") == (COMPLETED, '["\\"good!\\"","\\"last!\\"","\\"bad!\\""]')
            # The last one was asked for in the turn that failed, and nobody took its answer.
            assert Counter(steps.runs) == {"bad": 3, "good": 2, "last": 2}

    on_virtual_time(scenario)


def test_failures_that_the_code_got_over_stay(functions: Functions, steps: Steps):
    @functions.orchestrator
    def compensates(recorder: Any, input: str | None) -> Any:
        try:
            yield recorder.call_activity("step", "try", text)
        except Exception:
            yield recorder.call_activity("step", "undo", text)
        return (yield recorder.call_activity("step", "then", text))

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"try", "then"}
            await hub.client.start("compensates", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            assert (await rewound(hub, "x"))[0] is COMPLETED
            assert steps.runs == ["try", "undo", "then", "then"]

    on_virtual_time(scenario)


def test_all_failures_of_a_fan_out_run_again_and_so_does_what_had_no_answer(functions: Functions, steps: Steps):
    @functions.orchestrator
    def fan(recorder: Any, input: str | None) -> Any:
        timer = recorder.create_timer(recorder.now + timedelta(seconds=30))
        calls = [recorder.call_activity("step", name, text) for name in "abc"]
        call = recorder.call_entity("@counter@k", "add", "1", text)
        return (yield recorder.all_of([*calls, timer, call]))

    functions.counter()

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"a", "c"}
            await hub.client.start("fan", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            began = clock.now()
            assert (await rewound(hub, "x"))[0] is COMPLETED
            assert timedelta(seconds=20) < clock.now() - began <= timedelta(seconds=31)

    on_virtual_time(scenario)


def test_a_failure_of_the_code_itself_fails_again(functions: Functions, steps: Steps):
    @functions.orchestrator
    def wrong(recorder: Any, input: str | None) -> Any:
        yield recorder.call_activity("step", "a", text)
        raise KeyError("mine")

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            await hub.client.start("wrong", instance_id="x")
            first = await ended(hub, "x")
            assert first[0] is FAILED
            await hub.client.rewind("x", None)
            await asyncio.sleep(1)
            assert await ended(hub, "x") == first
            assert steps.runs == ["a"]

    on_virtual_time(scenario)


@pytest.fixture
def nested(functions: Functions, steps: Steps) -> None:
    @functions.orchestrator
    def top(recorder: Any, input: str | None) -> Any:
        a = yield recorder.call_activity("step", "top", text)
        b = yield recorder.call_child("middle", None, "m", None, text)
        return [a, b]

    @functions.orchestrator
    def middle(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_child("bottom", '"given"', "b", None, text))

    @functions.orchestrator
    def bottom(recorder: Any, input: str | None) -> Any:
        yield recorder.call_activity("step", "first", text)
        yield recorder.call_activity("step", "second", text)
        return input


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize("purged", [None, "m", "b"])
@pytest.mark.parametrize("restarted", [False, True])
def test_failed_children_are_rewound_two_levels_down(functions, steps, purged, restarted):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            steps.broken = set()
            if purged is not None:
                await hub.client.purge(purged)
            if restarted:
                await hub.restart()
            status, output = await rewound(hub, "t")
            assert status is COMPLETED
            assert output is not None
            assert "top!" in output
            assert "given" in output
            runs = ["top", "first", "second", "second"]
            assert steps.runs == (runs if purged is None else ["top", "first", "second", "first", "second"])
            for instance_id in ("t", "m", "b"):
                assert await status_of(hub, instance_id) is COMPLETED

    on_virtual_time(scenario)


@pytest.mark.usefixtures("nested")
def test_a_child_that_was_rewound_alone_gives_its_answer_to_a_parent_rewound_later(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            steps.broken = set()
            assert (await rewound(hub, "b"))[0] is COMPLETED
            assert await status_of(hub, "t") is FAILED
            assert (await rewound(hub, "t"))[0] is COMPLETED
            assert steps.runs == ["top", "first", "second", "second"]

    on_virtual_time(scenario)


@pytest.mark.usefixtures("nested")
def test_a_child_is_rewound_while_its_parent_is_gone(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            await hub.client.purge("t")
            await hub.client.purge("m")
            steps.broken = set()
            assert (await rewound(hub, "b"))[0] is COMPLETED

    on_virtual_time(scenario)


@pytest.fixture
def family(functions: Functions, steps: Steps) -> None:
    @functions.orchestrator
    def parent(recorder: Any, input: str | None) -> Any:
        child = recorder.call_child("child", None, "c", None, text)
        yield recorder.any_of([child, recorder.create_timer(recorder.now)])
        yield recorder.call_activity("step", "mine", text)
        return (yield child)

    @functions.orchestrator
    def child(recorder: Any, input: str | None) -> Any:
        return (yield recorder.wait_for_event("go", text))


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("rewinds", [1, 2])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_living_child_answers_the_rewound_parent(functions, steps, rewinds, restarted):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"mine"}
            await hub.client.start("parent", instance_id="p")
            assert (await ended(hub, "p"))[0] is FAILED
            for left in reversed(range(rewinds)):
                steps.broken = {"mine"} if left else set()
                await hub.client.rewind("p", None)
                await asyncio.sleep(1)
            if restarted:
                await hub.restart()
            await hub.client.raise_event("c", "go", "7")
            assert await ended(hub, "p") == (COMPLETED, SEVEN)
            assert [finding async for finding in hub.store.verify(liveness=True)] == []

    on_virtual_time(scenario)


@pytest.mark.usefixtures("family")
def test_an_answer_that_a_failed_parent_could_not_take_is_given_again(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"mine"}
            await hub.client.start("parent", instance_id="p")
            assert (await ended(hub, "p"))[0] is FAILED
            await hub.client.raise_event("c", "go", "7")
            assert (await ended(hub, "c"))[0] is COMPLETED
            steps.broken = set()
            assert await rewound(hub, "p") == (COMPLETED, SEVEN)

    on_virtual_time(scenario)


@pytest.mark.usefixtures("family")
def test_a_terminated_child_starts_anew(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            await hub.client.start("parent", instance_id="p")
            await asyncio.sleep(1)
            await hub.client.terminate("c", "no")
            assert (await ended(hub, "p"))[0] is FAILED
            await hub.client.rewind("p", None)
            await asyncio.sleep(1)
            assert await status_of(hub, "c") is RuntimeStatus.Running
            await hub.client.raise_event("c", "go", "7")
            assert await ended(hub, "p") == (COMPLETED, SEVEN)

    on_virtual_time(scenario)


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("lives", [False, True])
def test_a_stranger_with_the_childs_id_is_left_alone(functions, steps, lives):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"mine"}
            await hub.client.start("parent", instance_id="p")
            assert (await ended(hub, "p"))[0] is FAILED
            await hub.client.terminate("c", "no")
            await ended(hub, "c")
            await hub.client.start("child", instance_id="c")
            if not lives:
                await hub.client.raise_event("c", "go", "1")
                await ended(hub, "c")
            steps.broken = set()
            status, output = await rewound(hub, "p")
            assert status is FAILED
            assert output is not None
            assert "'c' cannot be rewound" in output
            stranger = await hub.client.get("c")
            assert stranger is not None
            assert stranger.origin.parent is None
            assert stranger.progress.status is (RuntimeStatus.Running if lives else COMPLETED)

    on_virtual_time(scenario)


@pytest.fixture
def locking(functions: Functions, steps: Steps) -> None:
    @functions.orchestrator
    def locks(recorder: Any, input: str | None) -> Any:
        beside = recorder.create_timer(recorder.now + timedelta(seconds=5))
        yield recorder.any_of([beside, recorder.create_timer(recorder.now)])
        with (yield recorder.lock_entities(["@counter@a", "@counter@b"])):
            yield recorder.call_activity("step", "in", text)
            total = yield recorder.call_entity("@counter@a", "add", "5", text)
        yield beside
        return total

    @functions.orchestrator
    def keeps(recorder: Any, input: str | None) -> Any:
        with (yield recorder.lock_entities(["@counter@b"])):
            yield recorder.wait_for_event("enough", text)

    functions.counter()


async def free(hub: InProcessHub) -> bool:
    await asyncio.sleep(1)
    entities = [await hub.client.get(f"@counter@{key}") for key in "ab"]
    return all(entity is None or entity.progress.locked_by is None for entity in entities)


@pytest.mark.usefixtures("locking")
def test_locks_are_held_again_before_the_code_goes_on(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"in"}
            await hub.client.start("locks", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            for rewinds in (1, 2):
                steps.broken = {"in"} if rewinds == 1 else set()
                status, output = await rewound(hub, "x")
            assert (status, output) == (COMPLETED, '"5"')
            assert await free(hub)
            assert [finding async for finding in hub.store.verify(liveness=True)] == []

    on_virtual_time(scenario)


@pytest.mark.usefixtures("locking")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("end", [None, "terminate"])
def test_a_rewound_one_waits_for_locks_that_somebody_else_has_now(functions, steps, restarted, end):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"in"}
            await hub.client.start("locks", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            await hub.client.start("keeps", instance_id="other")
            await asyncio.sleep(1)
            steps.broken = set()
            await hub.client.rewind("x", None)
            await asyncio.sleep(20)
            record = await hub.client.get("x")
            assert record is not None
            assert record.progress.status is RuntimeStatus.Running
            [reason] = await hub.client.waiting_on(record)
            assert (reason.kind, reason.name, reason.reason) == (WaitKind.LOCK, "@counter@b", "held by 'other'")
            assert [finding async for finding in hub.store.verify(liveness=True)] == []
            await hub.client.raise_event("x", "early")
            if restarted:
                await hub.restart()
            assert steps.runs == ["in"]
            if end is None:
                await hub.client.raise_event("other", "enough")
                assert await ended(hub, "x") == (COMPLETED, '"5"')
            else:
                await hub.client.terminate("x", "no")
                assert await ended(hub, "x") == (TERMINATED, "no")
                await hub.client.raise_event("other", "enough")
            assert await free(hub)

    on_virtual_time(scenario)


@pytest.mark.usefixtures("locking")
def test_a_rewound_one_waits_for_its_locks_only_once_when_it_is_loaded_again(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"in"}
            await hub.client.start("locks", instance_id="x")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            await hub.client.rewind("x", None)
            await asyncio.sleep(1)
            await hub.restart()
            assert await ended(hub, "x") == (COMPLETED, '"5"')

    on_virtual_time(scenario)


def test_only_failed_ones_are_rewound_whatever_is_sent(functions: Functions, steps: Steps):
    @functions.orchestrator
    def echo(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("step", "a", text))

    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            await hub.client.start("echo", instance_id="x")
            await ended(hub, "x")
            before = await hub.client.history("x")
            await storage.send(Envelope("x", Rewind("late")))
            await storage.send(Envelope("nobody", Rewind("late")))
            assert await hub.client.history("x") == before
            steps.broken = {"a"}
            await hub.client.start("echo", instance_id="y")
            await ended(hub, "y")
            steps.broken = set()
            await asyncio.gather(*(storage.send(Envelope("y", Rewind(str(n)))) for n in range(3)))
            assert (await ended(hub, "y"))[0] is COMPLETED
            assert kinds(await hub.client.history("y")).count("ExecutionRewound") == 1

    on_virtual_time(scenario)


def test_what_is_purged_during_its_rewind_is_gone(functions: Functions, steps: Steps):
    @functions.orchestrator
    def echo(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("step", "a", text))

    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            steps.broken = {"a"}
            for instance_id in ("x", "y"):
                await hub.client.start("echo", instance_id=instance_id)
                await ended(hub, instance_id)

            async def purging(round_: Any) -> None:
                storage.before_commit = None
                assert await hub.store.purge(["x"]) == 1

            storage.before_commit = purging
            steps.broken = set()
            await asyncio.gather(hub.client.rewind("x", None), hub.client.rewind("y", None))
            assert (await ended(hub, "y"))[0] is COMPLETED
            assert await hub.client.get("x") is None
            await hub.client.start("echo", instance_id="x")
            assert (await ended(hub, "x"))[0] is COMPLETED

    on_virtual_time(scenario)


def test_one_that_never_began_starts_anew_and_one_that_goes_on_continues_as_new(functions: Functions, steps: Steps):
    @functions.orchestrator
    def eternal(recorder: Any, input: str | None) -> Any:
        yield recorder.call_activity("step", f"round {input}", text)
        if input == "2":
            return "done"
        recorder.continue_as_new(str(int(input or 0) + 1))

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"round 1"}
            await hub.client.start("eternal", instance_id="x", input="0")
            assert (await ended(hub, "x"))[0] is FAILED
            steps.broken = set()
            assert await rewound(hub, "x") == (COMPLETED, '"done"')
            assert steps.runs == ["round 0", "round 1", "round 1", "round 2"]

    on_virtual_time(scenario)


@pytest.mark.usefixtures("nested")
def test_a_rewind_that_is_sent_while_nothing_runs_waits_for_the_next_start(functions, steps):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            await hub.stop()
            await hub.client.rewind("t", "later")
            assert await status_of(hub, "t") is FAILED
            assert [finding async for finding in hub.store.verify(liveness=True)] == []
            steps.broken = set()
            await hub.start()
            await hub.store.wait_for_status("t", frozenset({COMPLETED}))
            assert steps.runs == ["top", "first", "second", "second"]

    on_virtual_time(scenario)


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize("commits", range(1, 7))
def test_a_crash_between_any_two_commits_of_a_rewind_changes_nothing(functions, steps, commits):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            steps.broken = set()
            await hub.stop()
            await hub.client.rewind("t", None)
            left = [commits]
            reached = asyncio.Event()

            async def stalling(round_: Any) -> None:
                left[0] -= 1
                if left[0] == 0:
                    reached.set()
                    await asyncio.Event().wait()

            storage.before_commit = stalling
            await hub.start()
            done = asyncio.create_task(hub.store.wait_for_status("t", frozenset({COMPLETED})))
            await asyncio.wait([done, asyncio.create_task(reached.wait())], return_when=asyncio.FIRST_COMPLETED)
            storage.before_commit = None
            await hub.restart()
            await hub.store.wait_for_status("t", frozenset({COMPLETED}))
            done.cancel()
            assert set(steps.runs) == {"top", "first", "second"}
            assert steps.runs[:4] == ["top", "first", "second", "second"]
            for instance_id in ("t", "m", "b"):
                assert await status_of(hub, instance_id) is COMPLETED

    on_virtual_time(scenario)


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize("how", ["purged", "replaced", "replaced later"])
def test_a_child_that_goes_while_its_rewind_is_on_the_way_fails_the_parents_call(functions, steps, how):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            steps.broken = {"second"}
            await hub.client.start("top", instance_id="t")
            assert (await ended(hub, "t"))[0] is FAILED
            commits = []

            async def at_the_second(round_: Any) -> None:
                commits.append(round_)
                if len(commits) == 2:
                    # The parent's rewind is durable, and so is the message to its child.
                    storage.before_commit = None
                    await hub.store.purge(["m"])

            if how == "purged":
                storage.before_commit = at_the_second
                await hub.client.rewind("t", None)
            else:
                await hub.stop()
                await hub.client.rewind("t", None)
                delay = timedelta(seconds=3) if how == "replaced later" else timedelta(0)

                async def starting(round_: Any) -> None:
                    commits.append(round_)
                    if len(commits) == 1:
                        started.append(
                            asyncio.create_task(
                                hub.client.start("bottom", instance_id="m", start_at=clock.now() + delay)
                            )
                        )
                        await asyncio.sleep(0)

                started: list[Any] = []
                storage.before_commit = starting
                await hub.start()
                await hub.store.wait_for_status("t", frozenset({RuntimeStatus.Running}))
            await hub.store.wait_for_status("t", frozenset({FAILED}))
            record = await hub.client.get("t")
            assert record is not None
            assert record.progress.failure is not None
            assert "'m' cannot be rewound" in record.progress.failure.message

    on_virtual_time(scenario)
