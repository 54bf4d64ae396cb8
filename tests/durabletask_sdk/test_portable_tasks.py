"""Tasks, policies and errors by themselves (portable-sdk.md §3.1, §3.5 to §3.8)."""

from datetime import timedelta

import pytest

from durabletask import task


def test_a_task_made_by_hand_completes_once():
    made = task.CompletableTask[int]()
    with pytest.raises(ValueError, match="has not completed"):
        made.get_result()
    made.complete(5)

    assert (made.is_complete, made.is_failed, made.result) == (True, False, 5)
    with pytest.raises(ValueError, match="already completed"):
        made.complete(6)
    with pytest.raises(ValueError, match="has not failed"):
        made.get_exception()


def test_a_failed_task_raises_where_its_result_is_read():
    made = task.CompletableTask[int]()
    made.fail("boom", KeyError("k"))

    assert made.is_failed
    with pytest.raises(task.TaskFailedError, match="boom"):
        made.result  # noqa: B018
    assert made.get_exception().details.error_type == "builtins.KeyError"


def test_when_all_waits_for_all_and_tells_the_first_failure():
    first, second, third = (task.CompletableTask[int]() for _ in range(3))
    group = task.when_all([first, second, third])
    second.fail("second", ValueError("2"))
    assert (group.is_complete, group.pending_tasks, group.get_completed_tasks()) == (False, 2, 1)
    first.complete(1)
    third.fail("third", ValueError("3"))

    assert group.is_failed
    with pytest.raises(task.TaskFailedError, match="second"):
        group.get_result()


def test_when_all_keeps_the_order_and_takes_completed_tasks():
    done, open_task = task.CompletableTask[str](), task.CompletableTask[str]()
    done.complete("done")
    group = task.when_all([open_task, done])
    open_task.complete("late")

    assert group.get_result() == ["late", "done"]
    assert group.get_tasks() == [open_task, done]
    assert task.when_all([]).get_result() == []


def test_when_any_gives_the_task_that_was_first_even_a_failed_one():
    first, second = task.CompletableTask[int](), task.CompletableTask[int]()
    group = task.when_any([first, second])
    second.fail("no", ValueError())

    assert group.get_result() is second
    assert not group.is_failed
    assert not first.is_complete


@pytest.mark.parametrize("combine", [task.when_all, task.when_any])
def test_groups_are_made_of_tasks(combine):
    with pytest.raises(TypeError, match="'int'"):
        combine([5])


def test_cancelling():
    waiting = task.CancellableTask[int]()
    assert waiting.cancel()
    assert not waiting.cancel()

    assert (waiting.is_cancelled, waiting.is_complete, waiting.is_failed) == (True, True, False)
    with pytest.raises(task.TaskCancelledError):
        waiting.get_result()


def test_the_classes_are_each_others_kind():
    assert issubclass(task.TimerTask, task.CancellableTask)
    assert issubclass(task.CancellableTask, task.CompletableTask)
    assert issubclass(task.RetryableTask, task.CompletableTask)
    assert issubclass(task.WhenAllTask, task.CompositeTask)
    assert issubclass(task.WhenAnyTask, task.Task)


@pytest.mark.parametrize(
    ("stored", "asked", "fits"),
    [
        ("ValueError", ValueError, True),
        ("builtins.ValueError", ValueError, True),
        ("ValueError", Exception, True),
        ("ValueError", KeyError, False),
        ("ValueError", "ValueError", True),
        ("builtins.ValueError", "ValueError", True),
        ("ValueError", "builtins.ValueError", True),
        ("ValueError", "builtins.KeyError", False),
        ("shop.PaymentError", "other.PaymentError", False),
    ],
)
def test_what_a_failure_is_caused_by(stored, asked, fits):
    assert task.FailureDetails("m", stored, None).is_caused_by(asked) is fits


@pytest.mark.parametrize("asked", [int, 5])
def test_only_exceptions_cause_failures(asked):
    with pytest.raises(TypeError, match="exception"):
        task.FailureDetails("m", "ValueError", None).is_caused_by(asked)


def test_failure_details_keep_their_official_fields_in_front():
    inner = task.FailureDetails("i", "KeyError", None)
    details = task.FailureDetails("m", "ValueError", "stack", inner)

    assert (details.message, details.error_type, details.stack_trace, details.inner) == (
        "m",
        "ValueError",
        "stack",
        inner,
    )
    assert (details.is_non_retriable, details.properties) == (False, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_retry_interval": timedelta(seconds=-1)},
        {"max_number_of_attempts": 0},
        {"backoff_coefficient": 0.5},
        {"max_retry_interval": timedelta(seconds=-1)},
        {"retry_timeout": timedelta(seconds=-1)},
    ],
)
def test_policies_that_cannot_work(wrong):
    right = {"first_retry_interval": timedelta(seconds=1), "max_number_of_attempts": 3}
    policy = task.RetryPolicy(**right)
    assert (policy.first_retry_interval, policy.max_number_of_attempts) == (timedelta(seconds=1), 3)
    assert (policy.backoff_coefficient, policy.max_retry_interval, policy.retry_timeout) == (1.0, None, None)

    with pytest.raises(ValueError, match=next(iter(wrong))):
        task.RetryPolicy(**{**right, **wrong})


def test_markers_leave_functions_callable():
    @task.orchestration
    def plain(ctx, input):
        return input

    @task.activity(name="Named")
    def named(ctx, input):
        return input

    @task.entity(name="Account")
    class Wallet:
        pass

    @task.orchestration(version="2")
    def versioned(ctx, input):
        return input

    assert (plain(None, 1), named(None, 2), versioned(None, 3)) == (1, 2, 3)
    assert (task.get_name(plain), task.get_name(named), task.get_entity_name(Wallet)) == ("plain", "Named", "Account")
    with pytest.raises(ValueError, match="lambda"):
        task.get_name(lambda: 1)


def test_an_activity_context():
    context = task.ActivityContext("order-1", 3)

    assert (context.orchestration_id, context.task_id, context.name, dict(context.tags)) == ("order-1", 3, "", {})
