"""``python -m benchmarks.load.generator ORDER``: one workload against a host and what became of it, as JSON."""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from typing import Any
from urllib.parse import quote

from benchmarks.load.arithmetic import percentiles_ms
from benchmarks.load.connections import Connections
from benchmarks.load.workloads import GENERATORS, Order, Sent

DRAIN_SECONDS_MAX = 120.0
ERRORS_TOLD = 3
PAUSE_SECONDS = 0.1


async def generate(order: Order) -> dict[str, Any]:
    """The figures of one workload."""
    connections = Connections(order.port)
    sent = Sent()
    try:
        await GENERATORS[order.workload](order, connections, sent)
        completed = await _completed(order, connections, sent)
    finally:
        connections.close()
    seconds = max(sent.measured_until - sent.measured_from, 1e-9)
    answers = percentiles_ms(sent.answer_seconds)
    completions = percentiles_ms([max(0.0, completed[i] - due) for i, due in sent.due.items() if i in completed])
    last = max(completed.values(), default=sent.measured_until)
    return {
        "answered": len(sent.answer_seconds),
        "answers_per_s": len(sent.answer_seconds) / seconds,
        "completed_per_s": len(completed) / max(last - sent.measured_from, 1e-9),
        "errors": len(sent.errors),
        "lost": sum(1 for instance_id in sent.due if instance_id not in completed),
        "start": asdict(answers),
        "completion": asdict(completions),
        "seconds": seconds,
        "told": list(dict.fromkeys(sent.errors))[:ERRORS_TOLD],
    }


async def _completed(order: Order, connections: Connections, sent: Sent) -> dict[str, float]:
    """When each of the accepted instances completed, by the host's clock, once all have or time is up."""
    if not sent.due:
        return {}
    until = time.monotonic() + DRAIN_SECONDS_MAX
    while time.monotonic() < until:
        if not await _unfinished(order, connections):
            break
        await asyncio.sleep(PAUSE_SECONDS)
    found: dict[str, float] = {}
    token = ""
    while True:
        rows, token = await _page(order, connections, "Completed", token, 1000)
        for row in rows:
            instance_id = row["OrchestrationInstance"]["InstanceId"]
            if instance_id in sent.due:
                found[instance_id] = datetime.fromisoformat(row["CompletedTime"]).timestamp()
        if not token:
            return found


async def _unfinished(order: Order, connections: Connections) -> bool:
    rows, _ = await _page(order, connections, "Pending,Running", "", 1)
    return bool(rows)


async def _page(
    order: Order, connections: Connections, statuses: str, token: str, top: int
) -> tuple[list[dict[str, Any]], str]:
    path = f"/admin/perdure/instances?instanceIdPrefix={quote(order.prefix)}&runtimeStatus={statuses}&top={top}"
    answer = await connections.ask("GET", path, headers={"x-ms-continuation-token": token} if token else None)
    if answer.status != 200:
        raise RuntimeError(f"GET {path} was answered {answer.status}: {answer.body[:200]!r}")
    return json.loads(answer.body), answer.headers.get("x-ms-continuation-token", "")


def main() -> None:
    """Run the order of the first argument."""
    order = Order(**json.loads(sys.argv[1]))
    loop_factory = None if sys.platform == "win32" else import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        figures = runner.run(generate(order))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
