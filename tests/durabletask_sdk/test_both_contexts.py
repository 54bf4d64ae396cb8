"""What orchestrators are told and may ask for, the same at a worker over gRPC and in an embedded hub."""

import itertools
import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.worker import VersioningOptions
from support.meeting_places import KINDS, MeetingPlace, meeting_place


@pytest.fixture(scope="module", params=KINDS)
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeetingPlace]:
    with meeting_place(request.param, tmp_path_factory.mktemp("server")) as place:
        yield place


def tells(ctx: task.ActivityContext, _: Any) -> Any:
    return [ctx.orchestration_id, ctx.task_id, ctx.name, dict(ctx.tags)]


@task.orchestration(name="Child", version="7")
def child(ctx: task.OrchestrationContext, value: Any) -> Any:
    return [ctx.instance_id, ctx.parent_instance_id, ctx.name, ctx.version, dict(ctx.tags), ctx.get_input(), value]


@task.orchestration
def parent(ctx: task.OrchestrationContext, value: Any) -> Any:
    own = [ctx.parent_instance_id, ctx.name, ctx.version, dict(ctx.tags), ctx.current_utc_datetime.tzinfo]
    called = yield ctx.call_activity(tells, tags={"a": "1"})
    plain = yield ctx.call_sub_orchestrator(child, input=value)
    given = yield ctx.call_sub_orchestrator(
        child, input=value, version="8", tags={"b": "2"}, instance_id=f"{ctx.instance_id}-x"
    )
    return [own, called, plain, given]


def test_contexts_say_who_was_called_and_how(hub: MeetingPlace) -> None:
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    with hub.worker(parent, child, tells) as worker, hub.client() as client:
        worker.use_versioning(VersioningOptions(default_version="5"))
        worker.start()
        state = hub.ended(parent, {"n": 1}, tags={"t": "0"}, version="3")
        name = state.instance_id
        part = client.get_orchestration_state(f"{name}-x")

    own, called, plain, given = state.result
    assert own == [None, "parent", "3", {"t": "0"}, None]
    assert called == [name, 1, "tells", {"a": "1"}]
    assert plain == [f"{name}:0002", name, "Child", "5", {}, {"n": 1}, {"n": 1}]
    assert given == [f"{name}-x", name, "Child", "8", {"b": "2"}, {"n": 1}, {"n": 1}]
    assert (state.version, state.tags, state.parent_instance_id) == ("3", {"t": "0"}, None)
    assert (part.version, part.tags, part.parent_instance_id, part.name) == ("8", {"b": "2"}, name, "Child")
    assert before <= state.created_at <= state.last_updated_at


def test_a_marked_version_is_the_one_started(hub: MeetingPlace) -> None:
    with hub.worker(child) as worker:
        worker.start()
        assert hub.ended(child).result[2:4] == ["Child", "7"]
        assert hub.ended(child, version="1").result[3] == "1"
        assert hub.ended("Child").result[3] is None


attempts: dict[str, list[float]] = {}


def flaky(ctx: task.ActivityContext, succeeds_at: int) -> int:
    made = attempts.setdefault(ctx.orchestration_id, [])
    made.append(time.monotonic())
    if len(made) < succeeds_at:
        raise OSError(f"attempt {len(made)} of {dict(ctx.tags)}")
    return len(made)


@task.orchestration(name="FlakyChild")
def flaky_child(ctx: task.OrchestrationContext, _: Any) -> Any:
    raise OSError(f"{ctx.version} {dict(ctx.tags)}")


@task.orchestration
def retries(ctx: task.OrchestrationContext, said: dict[str, Any]) -> Any:
    seconds = {key: timedelta(seconds=said[key]) for key in ("max_retry_interval", "retry_timeout") if key in said}
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=20),
        max_number_of_attempts=said.get("most", 4),
        backoff_coefficient=2,
        handle=(lambda failure: failure.is_caused_by("TimeoutError")) if said.get("handles") else None,
        **seconds,
    )
    try:
        if "child" in said:
            tags = {"t": "1"}
            return (yield ctx.call_sub_orchestrator(flaky_child, retry_policy=policy, version="4", tags=tags))
        return (yield ctx.call_activity(flaky, input=said["at"], retry_policy=policy, tags={"t": "1"}))
    except task.TaskFailedError as error:
        return [str(error).partition(": ")[2], len(attempts.get(ctx.instance_id, ()))]


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"at": 3}, 3),
        ({"at": 9}, ["Activity task #1 failed: attempt 4 of {'t': '1'}", 4]),
        ({"at": 9, "most": 1}, ["Activity task #1 failed: attempt 1 of {'t': '1'}", 1]),
        ({"at": 9, "handles": True}, ["Activity task #1 failed: attempt 1 of {'t': '1'}", 1]),
        ({"at": 9, "most": 99, "retry_timeout": 0.0}, ["Activity task #1 failed: attempt 1 of {'t': '1'}", 1]),
        ({"child": True, "most": 2}, ["4 {'t': '1'}", 0]),
    ],
)
def test_retries_end_as_the_policy_says_and_keep_tags_and_version(
    hub: MeetingPlace, said: dict[str, Any], result: Any
) -> None:
    with hub.worker(retries, flaky, flaky_child) as worker:
        worker.start()
        assert hub.ended(retries, said).result == result


def test_pauses_grow_to_their_limit(hub: MeetingPlace) -> None:
    with hub.worker(retries, flaky) as worker:
        worker.start()
        state = hub.ended(retries, {"at": 4, "max_retry_interval": 0.03})

    made = attempts[state.instance_id]
    assert state.result == 4
    pauses = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.03, 0.03), strict=True))


def counter(ctx: EntityContext, n: int | None) -> int:
    ctx.set_state(ctx.get_state(int, 0) + (n or 0))
    return ctx.get_state(int, 0)


@task.orchestration
def leaves_a_section(ctx: task.OrchestrationContext, said: list[str]) -> Any:
    key, how = said
    entity = EntityInstanceId("counter", key)
    yield ctx.lock_entities([entity])
    yield ctx.call_entity(entity, "add", 1)
    if how == "fail":
        raise ValueError("inside")
    if how == "anew":
        ctx.continue_as_new([key, "return"])
    if how == "wait":
        yield ctx.wait_for_external_event("never")


@task.orchestration
async def enters_a_section(ctx: task.OrchestrationContext, key: str) -> Any:
    entity, told = EntityInstanceId("counter", key), ""
    async with ctx.lock_entities([entity]):
        ctx.call_entity(entity, "add", 10)
        try:
            ctx.call_entity(entity, "add", 10)
        except RuntimeError as error:
            told = str(error)
    return [await ctx.call_entity(entity, "add", 100), entity.key in told]


@pytest.mark.parametrize(("how", "total"), [("return", 111), ("fail", 111), ("anew", 112), ("wait", 111)])
def test_a_section_ends_with_its_orchestration(hub: MeetingPlace, how: str, total: int) -> None:
    key = uuid.uuid4().hex
    with hub.worker(leaves_a_section, enters_a_section, entities=(counter,)) as worker, hub.client() as client:
        worker.start()
        if how == "wait":
            instance_id = client.schedule_new_orchestration(leaves_a_section, input=[key, how])
            while client.get_entity(EntityInstanceId("counter", key)) is None:
                client.wait_for_orchestration_start(instance_id, timeout=20)
            client.terminate_orchestration(instance_id)
            state = client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state.runtime_status is OrchestrationStatus.TERMINATED
        else:
            hub.ended(leaves_a_section, [key, how])
        assert hub.ended(enters_a_section, key).result == [total, True]


@task.orchestration
def collects(ctx: task.OrchestrationContext, said: list[Any]) -> Any:
    keeps, seen = said
    seen = [*seen, (yield ctx.wait_for_external_event("note", data_type=int))]
    if len(seen) == 1:
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new([keeps, seen], save_events=keeps)
        return None
    return seen


@task.orchestration
def sends(ctx: task.OrchestrationContext, target: str) -> Any:
    ctx.send_event("nobody-is-there", "note", data=0)
    for value in (1, 2):
        ctx.send_event(target, "NOTE", data=value)
    ctx.send_event(target, "go")
    yield ctx.create_timer(timedelta(0))


@pytest.mark.parametrize("keeps", [True, False])
def test_events_between_orchestrations_are_kept_for_the_next_execution_on_request(
    hub: MeetingPlace, keeps: bool
) -> None:
    with hub.worker(collects, sends) as worker, hub.client() as client:
        worker.start()
        instance_id = client.schedule_new_orchestration(collects, input=[keeps, []])
        assert hub.ended(sends, instance_id).runtime_status is OrchestrationStatus.COMPLETED
        if not keeps:
            while client.get_orchestration_state(instance_id).get_input() == [keeps, []]:
                time.sleep(0.01)
            client.raise_orchestration_event(instance_id, "note", data=3)
        state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state.result == ([1, 2] if keeps else [1, 3])


@task.orchestration
def logs(ctx: task.OrchestrationContext, _: Any) -> Any:
    logger = ctx.create_replay_safe_logger(logging.getLogger("test.portable"))
    ids = [ctx.new_uuid()]
    for n in range(3):
        logger.warning("step %d of %s", n, ctx.instance_id)
        yield ctx.create_timer(timedelta(0))
        ids.append(ctx.new_uuid())
    return ids


def test_log_lines_come_once_and_ids_are_new_each_time(hub: MeetingPlace, caplog: pytest.LogCaptureFixture) -> None:
    with hub.worker(logs) as worker:
        worker.start()
        state = hub.ended(logs)

    said = [record.getMessage() for record in caplog.records if record.name == "test.portable"]
    assert said == [f"step {n} of {state.instance_id}" for n in range(3)]
    assert len({uuid.UUID(made).version for made in state.result}) == 1
    assert len(set(state.result)) == 4


def starts(ctx: EntityContext, value: Any) -> Any:
    if ctx.operation == "start":
        ctx.signal_entity(EntityInstanceId("counter", value), "add", 5)
        return ctx.schedule_new_orchestration("Child", input=value)
    raise ValueError("no such thing")


@task.orchestration
def asks(ctx: task.OrchestrationContext, key: str) -> Any:
    return (yield ctx.call_entity(EntityInstanceId("Starts", key), "start", key, return_type=str))


def test_entities_start_orchestrations_and_signal_each_other(hub: MeetingPlace) -> None:
    key = uuid.uuid4().hex
    with hub.worker(asks, child, entities=(starts, counter)) as worker, hub.client() as client:
        worker.start()
        started = hub.ended(asks, key).result
        state = client.wait_for_orchestration_completion(started, timeout=20)
        assert state.result[-1] == key
        while (found := client.get_entity(EntityInstanceId("counter", key))) is None:
            time.sleep(0.01)
        assert found.get_typed_state(int) == 5


def test_what_is_not_there_is_waited_for_in_vain(hub: MeetingPlace) -> None:
    with hub.client() as client:
        assert client.get_orchestration_state("missing") is None
        assert client.wait_for_orchestration_completion("missing", timeout=0.2) is None
