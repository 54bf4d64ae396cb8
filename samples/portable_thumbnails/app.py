"""Many at once, with retries: each picture is shrunk by an activity that fails now and then."""

import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker

attempts: dict[str, int] = {}
RETRIES = task.RetryPolicy(
    first_retry_interval=timedelta(milliseconds=50),
    max_number_of_attempts=4,
    backoff_coefficient=2.0,
    handle=lambda failure: not failure.is_caused_by(FileNotFoundError),
)


@task.orchestration
def shrink_all(ctx: task.OrchestrationContext, pictures: list[str]) -> Generator[task.Task[Any], Any, dict[str, Any]]:
    """All pictures at once; those that cannot be shrunk are named."""
    tasks = [ctx.call_activity(shrink, input=picture, retry_policy=RETRIES) for picture in pictures]
    missing: list[str] = []
    sizes: list[int] = []
    for picture, each in zip(pictures, tasks, strict=True):
        try:
            sizes.append((yield each))
        except task.TaskFailedError:
            missing.append(picture)
    return {"shrunk": len(sizes), "bytes": sum(sizes), "missing": missing}


@task.activity
def shrink(ctx: task.ActivityContext, picture: str) -> int:
    """The size of the small picture. A busy disk is worth another attempt, a missing file is not."""
    attempts[picture] = attempts.get(picture, 0) + 1
    if picture.startswith("missing"):
        raise FileNotFoundError(picture)
    if attempts[picture] < 3:
        raise OSError("the disk is busy")
    return 100 * len(picture)


def main() -> None:
    """Run it once and tell what came of it."""
    connection_string = sys.argv[1] if len(sys.argv) > 1 else "Endpoint=embedded://;TaskHub=default"
    worker = DurableTaskSchedulerWorker(connection_string)
    worker.add_all(shrink_all, shrink)
    with worker, DurableTaskSchedulerClient(connection_string, mode="sync") as client:
        worker.start()
        pictures = ["cat.png", "dog.png", "missing.png"]
        instance_id = client.schedule_new_orchestration(shrink_all, input=pictures)
        state = client.wait_for_orchestration_completion(instance_id)
        assert state is not None
        state.raise_if_failed()
        print(f"Result: {state.result}")
        print(f"Attempts: {dict(sorted(attempts.items()))}")


if __name__ == "__main__":
    main()
