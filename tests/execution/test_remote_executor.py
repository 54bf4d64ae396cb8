"""RemoteExecutor: items out, answers in, by token; leases, grace, back-off; on virtual time."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import EntityTurn
from perdure.core import events as ev
from perdure.core.actions import Complete, Fail, TurnResult
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation, OperationOutcome
from perdure.execution.remote_items import ItemKind, RemoteOptions
from support.remote_stage import EXECUTION, T0, Caller, RemoteStage, on_virtual_time, settle_down


def test_a_turn_goes_to_a_worker_and_comes_back_late() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        item = await worker.take()
        assert (item["instance"], item["new"]) == ("order-1", ["OrchestratorStarted", "EventRaised"])
        answer = worker.finish(item, TurnResult(ending=Complete('"done"')))
        assert await stage.executor.late_turns() == [turn]
        assert turn.result is not None
        assert turn.result.ending == Complete('"done"')
        await settle_down()
        assert not answer.done(), "acknowledged before it was durable"
        assert turn.settled is not None
        turn.settled()
        await answer

    on_virtual_time(scenario)


def test_the_past_is_encoded_once_and_appended_to() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn(history=2)
        first = await worker.take()
        assert first["past"] == ["EventRaised", "EventRaised"]
        await stage.settle(turn, worker.finish(first))
        follow = turn.session.follow
        assert follow is not None
        follow([*turn.events, ev.TimerCreated(1, T0)])
        await stage.next_turn(turn)
        second = await worker.take()
        assert second["past"] == ["EventRaised"] * 2 + ["OrchestratorStarted", "EventRaised", "TimerCreated"]
        assert stage.format.encoded_pasts == 1

    on_virtual_time(scenario)


def test_the_span_of_an_execution_comes_with_every_turn() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        assert (await worker.take())["span"] is None
        follow = turn.session.follow
        assert follow is not None
        follow([ev.OrchestratorStarted(T0, "span-1")])
        worker.end()
        other = stage.worker("w2")
        await asyncio.sleep(11)
        assert (await other.take())["span"] == "span-1"

    on_virtual_time(scenario)


def test_a_lost_stream_gives_its_items_back_after_a_grace() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        await stage.turn()
        stage.activity()
        items = [await worker.take(), await worker.take()]
        worker.end()
        other = stage.worker("w2")
        await asyncio.sleep(9.9)
        assert await other.takes_nothing()
        await asyncio.sleep(0.2)
        assert "new" in await other.take()
        assert await other.takes_nothing()
        await asyncio.sleep(20)
        assert (await other.take())["activity"] == "charge"
        assert [worker.lease(item) for item in items] == [None, None]

    on_virtual_time(scenario)


def test_an_answer_within_the_grace_counts() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        item = await worker.take()
        worker.end()
        await asyncio.sleep(5)
        await stage.settle(turn, worker.finish(item))
        other = stage.worker("w2")
        await asyncio.sleep(60)
        assert await other.takes_nothing()

    on_virtual_time(scenario)


def test_what_a_stream_has_not_taken_goes_to_another_at_once() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        for n in range(3):
            await stage.turn(f"order-{n}")
        assert (await worker.take())["instance"] == "order-0"
        other = stage.worker("w2")
        worker.end()
        assert [(await other.take())["instance"] for _ in range(2)] == ["order-1", "order-2"]

    on_virtual_time(scenario)


def test_what_is_given_back_goes_to_another_worker_first_and_later_each_time() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        first, second = stage.worker("w1"), stage.worker("w2")
        await stage.turn()
        loop = asyncio.get_running_loop()
        item = await first.take()
        stage.executor.give_back(first.held(item))
        assert await first.takes_nothing()
        item = await second.take()
        assert loop.time() == 0
        taken_at = []
        for worker in (second, first, second, first, second, first, second):
            stage.executor.give_back(worker.held(item))
            reader = first if worker is second else second
            item = await reader.take()
            taken_at.append(loop.time())
        pauses = [after - before for before, after in zip([0.0, *taken_at], taken_at, strict=False)]
        assert pauses == [1, 2, 4, 8, 16, 30, 30]

    on_virtual_time(scenario)


def test_the_only_worker_gets_again_what_it_gave_back() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        stage.activity()
        item = await worker.take()
        stage.executor.give_back(worker.held(item))
        again = await worker.take()
        assert again["number"] == item["number"]
        assert again["token"] != item["token"]
        assert worker.lease(item) is None

    on_virtual_time(scenario)


def test_an_activity_ends_with_its_result_or_failure_once_that_is_durable() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(payload_bytes_max=100))
        worker = stage.worker()
        pending = [stage.activity(input=text) for text in "abc"]
        leases = [worker.held(await worker.take()) for _ in pending]
        failure = FailureDetails("ValueError", "no")
        executor = stage.executor
        answers = [
            asyncio.ensure_future(executor.finish_activity(leases[0], "1")),
            asyncio.ensure_future(executor.finish_activity(leases[1], failure=failure)),
            asyncio.ensure_future(executor.finish_activity(leases[2], "x" * 101)),
        ]
        await settle_down()
        results = await executor.activity_results()
        assert [(result.activity, result.result) for result in results] == [
            (pending[0], "1"),
            (pending[1], None),
            (pending[2], None),
        ]
        assert results[1].failure == failure
        assert results[2].failure is not None
        assert results[2].failure.error_type == "PayloadTooLarge"
        assert "has 101 bytes; at most 100" in results[2].failure.message
        assert not any(answer.done() for answer in answers)
        for result in results:
            assert result.settled is not None
            result.settled()
        await asyncio.gather(*answers)

    on_virtual_time(scenario)


def test_a_token_counts_once_and_the_repeated_answer_waits_with_the_first() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        item = await worker.take()
        first = worker.finish(item)
        await settle_down()
        repeated = asyncio.ensure_future(stage.executor.settled(item["token"]))
        await settle_down()
        assert not repeated.done()
        first.cancel()
        await stage.executor.late_turns()
        assert turn.settled is not None
        turn.settled()
        assert await repeated is True
        assert await stage.executor.settled(item["token"]) is False
        assert worker.lease(item) is None

    on_virtual_time(scenario)


def test_only_the_worker_that_got_an_item_may_answer_it() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker("w1")
        await stage.turn()
        item = await worker.take()
        executor = stage.executor

        def lease(token: str, caller: Caller) -> Any:
            return executor.lease_of(token, caller, kind=ItemKind.ORCHESTRATION, instance_id="order-1")

        assert lease(item["token"], Caller("w2", "ipv4:w2")) is None
        assert lease(item["token"][:-32] + "0" * 32, worker.caller) is None
        assert lease("", Caller(None, "ipv4:w2")) is None
        # Whoever does not say who it is has the token to show for it; who has no token, the connection.
        assert lease(item["token"], Caller(None, "ipv4:elsewhere")) is not None
        assert lease("", Caller(None, "ipv4:w1")) is not None

    on_virtual_time(scenario)


def test_tokens_name_hub_and_kind_and_differ() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(hub="orders"))
        worker = stage.worker()
        await stage.turn()
        stage.activity()
        tokens = [(await worker.take())["token"] for _ in range(2)]
        assert [token.rpartition("/")[0] for token in tokens] == ["orders/orchestration", "orders/activity"]
        assert len({token.rpartition("/")[2] for token in tokens}) == 2

    on_virtual_time(scenario)


def test_stale_answers_are_told_of_once_a_minute_and_worker(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        executor = RemoteStage().executor

        def answer(worker: str) -> None:
            caller = Caller(worker, "ipv4:x")
            assert executor.lease_of("nobody/s", caller, kind=ItemKind.ACTIVITY, instance_id="") is None

        for _ in range(50):
            answer("w1")
        answer("w2")
        await asyncio.sleep(61)
        answer("w1")

    on_virtual_time(scenario)
    said = [record.getMessage() for record in caplog.records if record.name == "perdure.workers"]
    assert [text.split("'")[1] for text in said] == ["w1", "w2", "w1"]


def test_a_turn_is_recalled_until_a_worker_has_it() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(limit_per_kind=1))
        executor = stage.executor
        waiting = await stage.turn("nobody-there")
        assert executor.recall(waiting)
        assert not executor.recall(waiting)
        worker = stage.worker()
        taken = await stage.turn("taken")
        item = await worker.take()
        assert item["instance"] == "taken"
        full = await stage.turn("waits-for-room")
        assert executor.recall(full)
        worker.end()
        assert executor.recall(taken), "its worker is gone; a turn can be run again"
        assert worker.lease(item) is None
        other = stage.worker("w2")
        aside = await stage.turn("set-aside")
        assert executor.recall(aside)
        assert await other.takes_nothing()

    on_virtual_time(scenario)


def test_a_turn_that_was_wanted_back_comes_back_when_its_worker_is_lost() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        executor = stage.executor
        worker = stage.worker()
        turn = await stage.turn()
        item = await worker.take()
        assert not executor.recall(turn), "a worker has it"
        worker.end()
        assert await executor.late_turns() == [turn]
        assert turn.is_given_up
        assert worker.lease(item) is None
        assert not executor.recall(turn)
        assert await stage.worker("w2").takes_nothing()

    on_virtual_time(scenario)


def test_a_turn_that_was_wanted_back_comes_back_when_its_worker_gives_it_back() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(limit_per_kind=1))
        executor = stage.executor
        worker = stage.worker()
        turn = await stage.turn()
        item = await worker.take()
        assert not executor.recall(turn), "a worker has it"
        executor.give_back(worker.held(item))
        assert await executor.late_turns() == [turn]
        assert turn.is_given_up
        assert worker.lease(item) is None
        assert await worker.takes_nothing()
        await stage.turn("next")
        assert (await worker.take())["instance"] == "next", "it has room again"

    on_virtual_time(scenario)


def test_a_turn_that_is_tried_again_in_a_new_session_rests_as_long_as_it_would_have() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        for _ in range(3):
            item = await worker.take()
            assert not stage.executor.recall(turn)
            stage.executor.give_back(worker.held(item))
            [back] = await stage.executor.late_turns()
            assert back is turn
            assert turn.is_given_up
            turn = await stage.turn()
        loop = asyncio.get_running_loop()
        before = loop.time()
        await worker.take()
        assert loop.time() - before == 2

    on_virtual_time(scenario)


def test_a_recalled_turn_does_not_forget_who_gave_it_back() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        stage.executor.give_back(worker.held(await worker.take()))
        stage.executor.give_back(worker.held(await worker.take()))
        assert stage.executor.recall(turn)
        second = stage.worker("w2")
        await stage.next_turn(turn)
        assert await worker.takes_nothing()
        item = await second.take()
        loop = asyncio.get_running_loop()
        before = loop.time()
        stage.executor.give_back(second.held(item))
        await worker.take()
        assert loop.time() - before == 2

    on_virtual_time(scenario)


def test_a_batch_that_somebody_had_is_not_recalled() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        batch = EntityTurn(EntityId("counter", "k"), None, [Operation("add", None, True)])
        await stage.executor.advance([batch])
        assert stage.executor.recall(batch)
        await stage.executor.advance([batch])
        worker = stage.worker()
        await worker.take()
        worker.end()
        assert not stage.executor.recall(batch)

    on_virtual_time(scenario)


def test_operations_are_sent_as_far_as_they_fit() -> None:
    async def scenario() -> None:
        options = RemoteOptions(entity_operations_max=3, entity_bytes_max=1000, item_bytes_max=1500)
        stage = RemoteStage(options)
        worker = stage.worker()

        async def sent(*inputs: str | None, state: str | None = None) -> Any:
            operations = [Operation(f"op{n}", text, True) for n, text in enumerate(inputs)]
            batch = EntityTurn(EntityId("counter", "k"), state, operations)
            await stage.executor.advance([batch])
            reading = asyncio.ensure_future(worker.take())
            late = asyncio.ensure_future(stage.executor.late_turns())
            await asyncio.wait([reading, late], return_when=asyncio.FIRST_COMPLETED)
            if late.done():
                reading.cancel()
                return batch.result
            late.cancel()
            item = reading.result()
            lease = worker.held(item)
            assert lease.sent == len(item["operations"])
            outcomes = [OperationOutcome("1")] * lease.sent
            answer = asyncio.ensure_future(stage.executor.finish_batch(lease, outcomes))
            await stage.settle(batch, answer)
            assert batch.result == outcomes
            return item["operations"]

        assert await sent(None, None) == ["op0", "op1"]
        assert await sent(*[None] * 5) == ["op0", "op1", "op2"]
        assert await sent("x" * 500, "x" * 500) == ["op0"]
        [refused] = await sent("x" * 2000, None)
        assert refused.failure.error_type == "PayloadTooLarge"
        assert "Operation 'op0' of entity '@counter@k'" in refused.failure.message
        assert "at most 1500" in refused.failure.message
        [refused] = await sent(None, None, state="x" * 2000)
        assert refused.failure.error_type == "PayloadTooLarge"
        assert refused.state == "x" * 2000

    on_virtual_time(scenario)


def test_an_input_that_no_worker_takes_fails_its_activity() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(item_bytes_max=1000))
        worker = stage.worker()
        large, small = stage.activity(input="x" * 1000), stage.activity(input="x")
        assert (await worker.take())["number"] == small.number
        [result] = await stage.executor.activity_results()
        assert result.activity is large
        assert result.failure is not None
        assert result.failure.error_type == "PayloadTooLarge"
        assert "activity 'charge'" in result.failure.message
        assert "at most 1000" in result.failure.message

    on_virtual_time(scenario)


def test_a_long_past_is_asked_for_by_who_can_and_stripped_for_others() -> None:
    async def scenario() -> None:
        options = RemoteOptions(streamed_past_bytes=1000, stripped_past_bytes=2000, item_bytes_max=4000)
        stage = RemoteStage(options, padding=100)
        plain = stage.worker("plain")
        await stage.turn("short", history=5)
        await stage.turn("long", history=15)
        await stage.turn("longer", history=25)
        assert [(await plain.take())["form"] for _ in range(3)] == ["WHOLE", "WHOLE", "STRIPPED"]
        plain.end()
        asking = stage.worker("asking", asks_past=True)
        await stage.turn("again-short", history=5)
        turn = await stage.turn("again-long", history=15)
        items = [await asking.take() for _ in range(2)]
        assert [item["form"] for item in items] == ["WHOLE", "ASKED_FOR"]
        executor = stage.executor
        past = executor.past_of("again-long", EXECUTION)
        assert past is not None
        assert len(list(past.chunks())) == 15
        assert executor.past_of("again-long", "another execution") is None
        assert executor.past_of("again-short", None) is None
        await stage.settle(turn, asking.finish(items[1]))
        assert executor.past_of("again-long", None) is None

    on_virtual_time(scenario)


def test_a_past_that_fits_nobody_fails_the_orchestration_and_says_so() -> None:
    async def scenario() -> None:
        options = RemoteOptions(streamed_past_bytes=1000, stripped_past_bytes=2000, item_bytes_max=4000)
        stage = RemoteStage(options, padding=100)
        plain = stage.worker("plain")
        turn = await stage.turn("huge", history=500)
        assert await plain.takes_nothing()
        assert await stage.executor.late_turns() == [turn]
        assert turn.result is not None
        assert isinstance(turn.result.ending, Fail)
        failure = turn.result.ending.failure
        assert failure.error_type == "HistoryTooLarge"
        assert "'huge' has grown to 50000 bytes" in failure.message
        assert "take 4000" in failure.message
        asking = stage.worker("asking", asks_past=True)
        await stage.turn("huge-2", history=500)
        reading = asyncio.ensure_future(asking.take())
        assert await plain.takes_nothing()
        item = await reading
        assert (item["instance"], item["form"]) == ("huge-2", "ASKED_FOR")

    on_virtual_time(scenario)


def test_what_cannot_be_encoded_fails_alone() -> None:
    async def scenario() -> None:
        stage = RemoteStage()

        def refuse(*arguments: Any) -> bytes:
            raise ValueError("a lone surrogate")

        stage.format.activity = refuse  # type: ignore[method-assign]
        worker = stage.worker()
        pending = stage.activity()
        assert await worker.takes_nothing()
        [result] = await stage.executor.activity_results()
        assert result.activity is pending
        assert result.failure is not None
        assert "a lone surrogate" in result.failure.message

    on_virtual_time(scenario)


def test_drain_hands_out_nothing_and_waits_for_what_is_out() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        stage.activity()
        item = await worker.take()
        draining = asyncio.ensure_future(stage.executor.drain(30))
        await settle_down()
        stage.activity()
        assert await worker.takes_nothing()
        assert not draining.done()
        answer = asyncio.ensure_future(stage.executor.finish_activity(worker.held(item), "1"))
        assert await draining is True
        [result] = await stage.executor.activity_results()
        assert result.settled is not None
        result.settled()
        await answer

    on_virtual_time(scenario)


def test_drain_ends_when_a_worker_answers_never() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        stage.activity()
        await worker.take()
        assert await stage.executor.drain(30) is False
        assert asyncio.get_running_loop().time() == 30

    on_virtual_time(scenario)


def test_stop_ends_streams_and_refuses_answers_that_are_not_durable() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        await stage.turn()
        item = await worker.take()
        answer = worker.finish(item)
        await settle_down()
        reading = asyncio.ensure_future(stage.executor.next_item(worker.stream))
        await settle_down()
        await stage.executor.stop()
        await stage.executor.stop()
        assert await reading is None
        with pytest.raises(Unavailable):
            await answer
        with pytest.raises(Unavailable):
            stage.worker("w2")
        with pytest.raises(Unavailable):
            worker.lease(item)

    on_virtual_time(scenario)


def test_a_recalled_turn_rests_as_long_as_it_would_have() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        turn = await stage.turn()
        for _ in range(3):
            stage.executor.give_back(worker.held(await worker.take()))
        loop = asyncio.get_running_loop()
        due = loop.time() + 2
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert stage.executor.recall(turn)
            turn = await stage.next_turn(turn)
        await worker.take()
        assert loop.time() == pytest.approx(due)

    on_virtual_time(scenario)


def test_a_recalled_batch_that_was_given_back_rests_as_long_as_it_would_have() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        batch = EntityTurn(EntityId("counter", "k"), None, [Operation("add", None, True)])
        await stage.executor.advance([batch])
        for _ in range(3):
            stage.executor.give_back(worker.held(await worker.take()))
        loop = asyncio.get_running_loop()
        due = loop.time() + 2
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert stage.executor.recall(batch), "another server may have a worker for it"
            batch = EntityTurn(batch.entity, None, [*batch.operations, Operation("add", None, True)])
            await stage.executor.advance([batch])
        await worker.take()
        assert loop.time() == pytest.approx(due)

    on_virtual_time(scenario)


def test_a_worker_that_takes_nothing_of_what_it_gets_is_not_asked_at_once_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        stage, loop = RemoteStage(), asyncio.get_running_loop()
        worker = stage.worker()
        turn = await stage.turn()
        taken_at: list[float] = []
        for _ in range(6):
            item = await worker.take()
            taken_at.append(loop.time())
            await stage.settle(turn, worker.finish(item, TurnResult(events_taken=0)))
            turn = await stage.next_turn(turn)
        assert [later - at for at, later in pairwise(taken_at)] == [0, 1, 2, 4, 8]
        # Whoever takes something begins anew.
        item = await worker.take()
        taken = loop.time()
        await stage.settle(turn, worker.finish(item, TurnResult(events_taken=1)))
        await stage.next_turn(turn)
        await worker.take()
        assert loop.time() == taken

    on_virtual_time(scenario)
    [told] = [record.getMessage() for record in caplog.records if "undone" in record.getMessage()]
    assert told.startswith("The orchestration 'order' of instance 'order-1' came back undone 3 times, now from")


def test_work_that_is_given_back_again_and_again_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        await stage.turn()
        for _ in range(8):
            stage.executor.give_back(worker.held(await worker.take()))

    on_virtual_time(scenario)
    told = [record.getMessage() for record in caplog.records if "undone" in record.getMessage()]
    assert ["3 times" in told[0], len(told)] == [True, 2]
