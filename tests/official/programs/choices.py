"""Which worker may run what: versions and filters."""

from datetime import timedelta
from typing import Any

from stage import Stage, alone

from durabletask import task
from durabletask.worker import (
    TaskHubGrpcWorker,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
)


def versioned(ctx: task.OrchestrationContext, n: int) -> Any:
    return ctx.version


def parent(ctx: task.OrchestrationContext, n: int) -> Any:
    return [(yield ctx.call_sub_orchestrator(versioned)), (yield ctx.call_sub_orchestrator(versioned, version="1.5"))]


def versioning(
    version: str, match: VersionMatchStrategy, failing: VersionFailureStrategy, default: str | None = None
) -> Any:
    def prepare(worker: TaskHubGrpcWorker) -> None:
        worker.use_versioning(VersioningOptions(version, default, match, failing))

    return prepare


@alone
def version_fails(stage: Stage) -> Any:
    """Of each match strategy, which versions a worker of 2.0 runs and which it fails."""
    seen = {}
    for match in (VersionMatchStrategy.NONE, VersionMatchStrategy.STRICT, VersionMatchStrategy.CURRENT_OR_OLDER):
        prepare = versioning("2.0", match, VersionFailureStrategy.FAIL)
        with stage.worker(orchestrators=[versioned], prepare=prepare):
            ids = [stage.start(versioned, version=version) for version in ("1.0", "2.0", "2.1", "10.0")]
            seen[match.name] = [short(stage, instance_id) for instance_id in ids]
    return seen


def short(stage: Stage, instance_id: str) -> str:
    state = stage.ended(instance_id)
    return state.get_output() if state.failure_details is None else state.failure_details.error_type


@alone
def version_rejects(stage: Stage) -> Any:
    """What one worker rejects waits for another."""
    seen = []
    for match, version in ((VersionMatchStrategy.STRICT, "2.0"), (VersionMatchStrategy.CURRENT_OR_OLDER, "3.0")):
        first = versioning("1.0", match, VersionFailureStrategy.REJECT)
        second = versioning(version, match, VersionFailureStrategy.REJECT)
        with stage.worker(orchestrators=[versioned], prepare=first):
            waits = stage.start(versioned, version=version)
            runs = stage.start(versioned, version="1.0")
            seen.append([stage.output(runs), stage.status(waits)])
            with stage.worker(orchestrators=[versioned], prepare=second):
                seen[-1].append(stage.output(waits))
    return seen


@alone
def versions_of_children(stage: Stage) -> Any:
    prepare = versioning("2.0", VersionMatchStrategy.CURRENT_OR_OLDER, VersionFailureStrategy.FAIL, "1.2")
    with stage.worker(orchestrators=[parent, versioned], prepare=prepare):
        return stage.run(parent, version="2.0")


def calling(ctx: task.OrchestrationContext, n: int) -> Any:
    return (yield ctx.call_activity("far", input=n))


def far(ctx: task.ActivityContext, n: int) -> int:
    return n * 2


@alone
def filters(stage: Stage) -> Any:
    """Two workers that each know a half."""

    def filtered(worker: TaskHubGrpcWorker) -> None:
        worker.use_work_item_filters()

    with (
        stage.worker(orchestrators=[calling], prepare=filtered),
        stage.worker(activities=[far], prepare=filtered),
    ):
        return [stage.run(calling, n) for n in range(5)]


@alone
def started_before_any_worker(stage: Stage) -> Any:
    """Steered without a worker; the rest is done by the worker that comes."""
    ids = [stage.start(calling, n) for n in range(4)]
    stage.client.terminate_orchestration(ids[0], output="unneeded")
    ended = stage.ended(ids[0])
    stage.client.suspend_orchestration(ids[1])
    stage.until_status(ids[1], "SUSPENDED")
    purged = stage.client.purge_orchestration(ids[0]).deleted_instance_count
    with stage.worker(orchestrators=[calling], activities=[far]):
        rest = [stage.output(instance_id) for instance_id in ids[2:]]
        stage.client.resume_orchestration(ids[1])
        return [ended.runtime_status.name, purged, rest, stage.output(ids[1])]


def long_waiting(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.create_timer(timedelta(milliseconds=10))
    return n


@alone
def two_workers_share(stage: Stage) -> Any:
    seen: list[set[int]] = [set(), set()]

    def worker_function(place: set[int]) -> Any:
        def share(ctx: task.ActivityContext, n: int) -> int:
            place.add(n)
            return n

        return share

    def sharing(ctx: task.OrchestrationContext, n: int) -> Any:
        return sum((yield task.when_all([ctx.call_activity("share", input=i) for i in range(n)])))

    with (
        stage.worker(orchestrators=[sharing], activities=[worker_function(seen[0])]),
        stage.worker(orchestrators=[sharing], activities=[worker_function(seen[1])]),
    ):
        total = stage.run(sharing, 200)
    return [total, len(seen[0] | seen[1]), len(seen[0] & seen[1]), min(len(part) for part in seen) > 20]
