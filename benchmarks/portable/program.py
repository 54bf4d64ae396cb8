"""``program.py ADDRESS``: the workloads as a portable program, for the official ``durabletask`` and for ours."""

import logging
import sys
import threading
import time

from durabletask import task, worker

logging.disable(logging.WARNING)


def say(ctx, i):
    return f"Hello {i}!"


def moment(ctx, i):
    return time.perf_counter()


def sequence(ctx, count):
    last = None
    for i in range(count):
        last = yield ctx.call_activity(say, input=i)
    return last


def long(ctx, steps):
    moments = []
    for i in range(steps):
        at = yield ctx.call_activity(moment, input=i)
        if i % (steps // 20) == 0 or i == steps - 1:
            moments.append(at)
    return moments


def fan_out(ctx, count):
    results = yield task.when_all([ctx.call_activity(say, input=i) for i in range(count)])
    return len(results)


def wait(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


def main() -> None:
    """Work until the process is ended."""
    with worker.TaskHubGrpcWorker(host_address=sys.argv[1]) as host:
        for orchestrator in (sequence, long, fan_out, wait):
            host.add_orchestrator(orchestrator)
        for activity in (say, moment):
            host.add_activity(activity)
        host.start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
