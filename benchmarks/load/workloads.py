"""What the generators do: one coroutine for each workload, over HTTP, on a timetable that does not wait."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.load.arithmetic import arrivals
from benchmarks.load.connections import Answer, Connections

BASE = "/runtime/webhooks/durabletask"
TIMERS_LEAD_SECONDS = 20.0
"""Timers are set so far ahead that all are durable before the first is due."""
PAYLOAD_BYTES = 100_000


@dataclass(slots=True)
class Sent:
    """What was asked and how it was answered. Times are wall-clock seconds, since the host's are compared with them.

    ``due``: instance → when its completion was owed a beginning: its place on the timetable, its timer, its event.
    """

    due: dict[str, float] = field(default_factory=dict[str, float])
    answer_seconds: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])
    measured_from: float = 0.0
    measured_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a generator is asked for. ``rate`` is instances a second, ``count`` how many where no rate is kept."""

    workload: str
    port: int
    prefix: str
    rate: float = 0.0
    seconds: float = 0.0
    warm_up: float = 0.0
    count: int = 0
    size: int = 0


async def paced_starts(order: Order, connections: Connections, sent: Sent) -> None:
    """Start instances at the rate; each answer's time counts from its place on the timetable."""
    name, body = _BODIES[order.workload](order)

    async def start(number: int, due: float, counts: bool) -> None:
        instance_id = f"{order.prefix}{number}"
        path = f"{BASE}/orchestrators/{name}/{instance_id}"
        if await _asked(sent, due, 202, connections.ask("POST", path, body), counts=counts) and counts:
            sent.due[instance_id] = due

    begun = time.time()
    sent.measured_from = begun + order.warm_up
    async with asyncio.TaskGroup() as group:
        for number, moment in enumerate(arrivals(order.rate, order.warm_up + order.seconds)):
            due = begun + moment
            if (wait := due - time.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(start(number, due, due >= sent.measured_from))
    sent.measured_until = begun + order.warm_up + order.seconds


async def closed_starts(order: Order, connections: Connections, sent: Sent) -> None:
    """Start the next as soon as one is answered, 64 at a time: how many a second there could be."""
    name, body = _BODIES["chain"](order)
    sent.measured_from = time.time()
    until = sent.measured_from + order.seconds
    numbers = iter(range(10**9))

    async def one_after_another() -> None:
        while (now := time.time()) < until:
            instance_id = f"{order.prefix}{next(numbers)}"
            path = f"{BASE}/orchestrators/{name}/{instance_id}"
            if await _asked(sent, now, 202, connections.ask("POST", path, body)):
                sent.due[instance_id] = now

    async with asyncio.TaskGroup() as group:
        for _ in range(64):
            group.create_task(one_after_another())
    sent.measured_until = time.time()


async def timers(order: Order, connections: Connections, sent: Sent) -> None:
    """Instances that all sleep until the same moment."""
    due = datetime.now(UTC) + timedelta(seconds=TIMERS_LEAD_SECONDS + order.count / 1000)
    body = json.dumps(due.isoformat()).encode()
    await _all(order, connections, sent, lambda i: ("POST", f"{BASE}/orchestrators/sleep_until/{i}", body))
    sent.due = dict.fromkeys(sent.due, due.timestamp())
    await asyncio.sleep(max(0.0, due.timestamp() - time.time()))


async def events(order: Order, connections: Connections, sent: Sent) -> None:
    """Instances that wait, then one event for each."""
    await _all(order, connections, sent, lambda i: ("POST", f"{BASE}/orchestrators/wait/{i}", b""))
    started = list(sent.due)
    sent.answer_seconds.clear()

    def raising(instance_id: str) -> tuple[str, str, bytes]:
        return "POST", f"{BASE}/instances/{instance_id}/raiseevent/go", b'"x"'

    await _all(order, connections, sent, raising, started)


async def signals(order: Order, connections: Connections, sent: Sent) -> None:
    """Signals to one entity, then waits until its state has them all."""
    key = order.prefix.strip("-")
    begun = time.time()
    path = f"{BASE}/entities/counter/{key}"
    await _all(order, connections, sent, lambda _: ("POST", f"{path}?op=add", b"1"))
    sent.due.clear()
    while time.time() < begun + 60:
        if (await connections.ask("GET", path)).body == str(order.count - len(sent.errors)).encode():
            sent.measured_until = time.time()
            return
        await asyncio.sleep(0.01)
    sent.errors.append("the entity did not count all signals in 60 s")


async def _all(
    order: Order,
    connections: Connections,
    sent: Sent,
    request: Callable[[str], tuple[str, str, bytes]],
    ids: Sequence[str] | None = None,
) -> None:
    """All of them at once, as fast as the connections take them."""

    async def one(instance_id: str) -> None:
        begun = time.time()
        if await _asked(sent, begun, 202, connections.ask(*request(instance_id))):
            sent.due[instance_id] = begun

    sent.measured_from = time.time()
    left = iter(ids or [f"{order.prefix}{number}" for number in range(order.count)])

    async def one_after_another() -> None:
        for instance_id in left:
            await one(instance_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(128):
            group.create_task(one_after_another())
    sent.measured_until = time.time()


async def _asked(sent: Sent, due: float, expected: int, asking: Awaitable[Answer], *, counts: bool = True) -> bool:
    try:
        answer = await asking
    except (OSError, TimeoutError) as error:
        sent.errors.append(f"{type(error).__name__}: {error}")
        return False
    if answer.status != expected:
        sent.errors.append(f"{answer.status}: {answer.body[:200]!r}")
        return False
    if counts:
        sent.answer_seconds.append(time.time() - due)
    return True


def _chain(_: Order) -> tuple[str, bytes]:
    return "chain", b""


def _fan_out(order: Order) -> tuple[str, bytes]:
    return "fan_out", str(order.size).encode()


def _carry(_: Order) -> tuple[str, bytes]:
    return "carry", json.dumps("x" * PAYLOAD_BYTES).encode()


_BODIES: dict[str, Callable[[Order], tuple[str, bytes]]] = {"chain": _chain, "fan_out": _fan_out, "carry": _carry}
GENERATORS: dict[str, Callable[[Order, Connections, Sent], Awaitable[None]]] = {
    "chain": paced_starts,
    "fan_out": paced_starts,
    "carry": paced_starts,
    "closed": closed_starts,
    "timers": timers,
    "events": events,
    "signals": signals,
}
