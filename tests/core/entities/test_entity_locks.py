"""An entity's lock: when a request takes it, what runs while it is held, and how it is let go."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from perdure.core import messages as ms
from perdure.core.checkpoint import HistoryChange
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import next_batch
from perdure.core.instance import InstanceKind, LockHolder, Origin, Progress
from perdure.core.registry import OperationOutcome
from perdure.core.status import RuntimeStatus

T0 = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = "@counter@a", "@counter@b", "@counter@c"
ALL = (A, B, C)
HOLDER = LockHolder("one", "one-1", "one-1:0")
ORIGIN = Origin(A, InstanceKind.ENTITY, "counter", "", T0)


def _request(who: str = "one", ids: tuple[str, ...] = ALL, place: int = 0) -> ms.Envelope:
    return ms.Envelope(ids[place], ms.LockRequest(ms.ReplyTo(who, f"{who}-1", 2), f"{who}-1:0", ids, place))


def _release(who: str = "one", then: tuple[str, ...] = ()) -> ms.Envelope:
    return ms.Envelope(A, ms.LockRelease(who, f"{who}-1:0", then))


def _call(who: str, execution: str = "1") -> ms.Envelope:
    return ms.Envelope(A, ms.OperationRequest("get", None, ms.ReplyTo(who, f"{who}-{execution}", 4)))


def _signal(name: str = "add") -> ms.Envelope:
    return ms.Envelope(A, ms.OperationRequest(name))


def _sent(batch_or_checkpoint) -> list[tuple[str, ms.AnyMessage]]:
    return [(envelope.target, envelope.message) for envelope in batch_or_checkpoint.outbox]


def test_a_request_takes_the_lock_behind_what_came_before_and_goes_on() -> None:
    before, request, after = _signal(), _request(), _signal()
    batch = next_batch([before, request, after], None, 5000)
    assert batch.taken == [before]
    assert batch.consumed == [before, request]
    assert batch.held == [after]
    assert batch.locked_by == HOLDER
    message = request.message
    assert isinstance(message, ms.LockRequest)
    assert _sent(batch) == [(B, ms.LockRequest(message.holder, "one-1:0", ALL, 1))]


def test_a_request_that_comes_twice_counts_once() -> None:
    first, second = _request(), _request()
    batch = next_batch([first, second], None, 5000)
    assert (batch.consumed, batch.dropped, len(batch.outbox)) == ([first], [second], 1)
    other, again = _request("two"), _request("two")
    waiting = next_batch([other, again], HOLDER, 5000)
    assert (waiting.held, waiting.dropped) == ([other], [again])


def test_the_last_entity_tells_the_holder() -> None:
    batch = next_batch([_request(place=2)], None, 5000)
    assert _sent(batch) == [("one", ms.LockGranted("one-1", 2))]


def test_a_full_batch_lets_no_request_overtake() -> None:
    queue = [_signal("1"), _signal("2"), _request(), _call("one")]
    batch = next_batch(queue, None, 1)
    assert (batch.taken, batch.held, batch.locked_by) == (queue[:1], queue[1:], None)


def test_only_calls_of_the_holding_execution_run() -> None:
    queue = [_signal(), _call("two"), _call("one"), _call("one", "2"), _request("two")]
    batch = next_batch(queue, HOLDER, 5000)
    assert batch.taken == [queue[2]]
    assert batch.held == [queue[0], queue[1], queue[3], queue[4]]
    assert batch.locked_by is HOLDER


def test_a_release_lets_everybody_in_again_in_order() -> None:
    queue = [_signal("1"), _request("two"), _signal("2"), _release(), _signal("3")]
    batch = next_batch(queue, HOLDER, 5000)
    assert batch.taken == [queue[0]]
    assert batch.consumed == [queue[3], queue[0], queue[1]]
    assert batch.held == [queue[2], queue[4]]
    assert batch.locked_by == LockHolder("two", "two-1", "two-1:0")


def test_a_release_of_somebody_else_has_no_effect() -> None:
    for other in (_release("two"), ms.Envelope(A, ms.LockRelease("one", "one-1:9"))):
        batch = next_batch([other], HOLDER, 5000)
        assert (batch.dropped, batch.consumed, batch.locked_by) == ([other], [], HOLDER)


def test_a_release_that_follows_its_request_goes_on_to_the_rest() -> None:
    batch = next_batch([_release(then=(B, C))], HOLDER, 5000)
    assert batch.locked_by is None
    assert _sent(batch) == [(B, ms.LockRelease("one", "one-1:0", (C,)))]


def test_a_release_takes_back_a_request_that_waits_here_and_goes_no_further() -> None:
    waiting, release, signal = _request("two"), _release("two", (B, C)), _signal()
    batch = next_batch([waiting, signal, release], HOLDER, 5000)
    assert (batch.consumed, batch.held, batch.outbox) == ([waiting, release], [signal], [])
    assert batch.locked_by is HOLDER


def test_a_release_finds_a_request_among_those_known_to_wait() -> None:
    waiting = [_signal(), _request("two")]
    batch = next_batch([_release("two", (B,))], HOLDER, 5000, waiting)
    assert (batch.held, batch.outbox) == (waiting[:1], [])


@given(data=st.data())
def test_what_waits_may_be_looked_at_later_or_again(data: st.DataObject) -> None:
    """The same messages in one batch, or cut in two with the rest left waiting: the same order of effects."""
    makers = {
        "signal": _signal, "call one": lambda: _call("one"), "call two": lambda: _call("two"), "lock one": _request,
        "lock two": lambda: _request("two"), "release one": _release, "release two": lambda: _release("two"),
    }  # fmt: skip
    names = data.draw(st.lists(st.sampled_from(sorted(makers)), max_size=12))
    queue = [makers[name]() for name in names]
    held = data.draw(st.sampled_from([None, HOLDER]))
    cut = data.draw(st.integers(0, len(queue)))
    whole = next_batch(queue, held, 5000)
    first = next_batch(queue[:cut], held, 5000)
    second = next_batch([*first.held, *queue[cut:]], first.locked_by, 5000)
    assert second.locked_by == whole.locked_by
    assert second.held == whole.held
    assert set(map(id, [*first.taken, *second.taken])) == set(map(id, whole.taken))
    if held is not None and first.locked_by is held:
        waiting = next_batch(queue[cut:], held, 5000, first.held)
        assert (waiting.locked_by, waiting.held) == (whole.locked_by, whole.held)


def test_a_batch_about_the_lock_alone_commits_lock_and_messages() -> None:
    progress = Progress(RuntimeStatus.Running, T0, state="3")
    request = _request()
    checkpoint = decide_batch(ORIGIN, progress, next_batch([request], None, 5000), [], T0)
    assert checkpoint.consumed == [request]
    assert (checkpoint.progress.locked_by, checkpoint.progress.state) == (HOLDER, "3")
    assert [target for target, _ in _sent(checkpoint)] == [B]


def test_answers_come_before_what_the_lock_sends() -> None:
    progress = Progress(RuntimeStatus.Running, T0)
    batch = next_batch([_call("two"), _request()], None, 5000)
    checkpoint = decide_batch(ORIGIN, progress, batch, [OperationOutcome("1", "1")], T0)
    assert [target for target, _ in _sent(checkpoint)] == ["two", B]


def test_the_wish_to_forget_is_heard_only_alone() -> None:
    wish = ms.Envelope(A, ms.RemoveWhenEmpty())
    alone = next_batch([wish], None, 5000)
    assert (alone.removes, alone.consumed) == (True, [wish])
    progress = Progress(RuntimeStatus.Running, T0)
    assert decide_batch(ORIGIN, progress, alone, [], T0).history is HistoryChange.REMOVE
    for queue, held in (
        ([wish, _signal()], None),
        ([_signal(), wish], None),
        ([wish], HOLDER),
        ([_request(), wish], None),
    ):
        batch = next_batch(queue, held, 5000)
        assert (batch.removes, batch.dropped) == (False, [wish])
