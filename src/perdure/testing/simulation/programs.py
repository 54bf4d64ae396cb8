"""Orchestrators that run a generated program, and the activities and the entity that programs use.

A program is a list of statements, each a list that begins with its kind; it travels as the orchestration's input.
What a program is given is woven into what it asks for next (``digest``), so that a run which was once given something
else than what is committed asks for something else, too.
"""

import random
import zlib
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import msgspec

from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.registry import (
    ActivityCall,
    ActivityDefinition,
    EntityDefinition,
    EntitySignal,
    Operation,
    OperationOutcome,
    OrchestratorDefinition,
    Program,
    Registry,
)
from perdure.core.replay.policy import AllMode, FailedKind, ReplayPolicy, RetryIds, ScheduleAt
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import Task
from perdure.core.retry import RetryPolicy

Statement = list[Any]
Run = Generator[Task, Any, Any]

LEDGER = "ledger"
PROGRAM_NAMES = ("program_at_yield", "program_at_call", "program_async")


class CallFailed(Exception):
    """What a program sees of a failed call."""


class ProgramFailed(Exception):
    """A program's own failure."""


class GivenWrong(Exception):
    """A program was given something that cannot be; never expected, whatever the faults."""


def write_json(value: Any) -> str:
    """Compact JSON text."""
    return msgspec.json.encode(value).decode()


def read_json(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


def ledger_id(key: str) -> str:
    """The id of a ledger entity."""
    return f"@{LEDGER}@{key}"


def _call_failed(kind: FailedKind, name: str, failure: FailureDetails) -> BaseException:
    return CallFailed(f"{kind.value} {name} failed: {failure.message}")


AT_YIELD = ReplayPolicy(ScheduleAt.FIRST_YIELD, AllMode.FAIL_FAST, RetryIds.NEW, 0, _call_failed)
AT_CALL = ReplayPolicy(
    ScheduleAt.CALL,
    AllMode.WAIT_FOR_ALL,
    RetryIds.REUSED,
    1,
    _call_failed,
    longest_timer=timedelta(seconds=90),
    timer_hop=timedelta(seconds=40),
)


class _Interpreter:
    """Runs one program."""

    def __init__(self, recorder: Recorder, text: str | None) -> None:
        given = read_json(text)
        self.recorder = recorder
        self.program: list[Statement] = given["program"]
        self.rounds_left: int = given.get("rounds_left", 0)
        self.digest: int = given.get("digest", 0)
        self._count = 0

    def run(self) -> Run:
        for statement in self.program:
            yield from _STATEMENTS[statement[0]](self, *statement[1:])
        return self.digest

    def tag(self) -> str:
        """A text that nothing else in the run asks with, unless it was given something else before."""
        self._count += 1
        return f"{self.recorder.instance_id}/{self.recorder.generation}/{self._count}/{self.digest:08x}"

    def take(self, value: Any) -> None:
        self.digest = zlib.crc32(repr(value).encode(), self.digest)

    def echo(self, name: str = "echo") -> tuple[str, Task]:
        tag = self.tag()
        return tag, self.recorder.call_activity(name, tag, read_json)

    def check_echo(self, tag: str, answer: Any) -> None:
        if answer["of"] != tag:
            raise GivenWrong(f"the result of {answer['of']} was given for {tag}")
        self.take(answer["run"])

    def activity(self) -> Run:
        tag, task = self.echo()
        self.check_echo(tag, (yield task))

    def fan(self, width: int) -> Run:
        asked = [self.echo() for _ in range(width)]
        answers = yield self.recorder.all_of([task for _, task in asked])
        for (tag, _), answer in zip(asked, answers, strict=True):
            self.check_echo(tag, answer)

    def drain(self, width: int) -> Run:
        left = dict((task, tag) for tag, task in (self.echo() for _ in range(width)))
        while left:
            done = yield self.recorder.any_of(list(left))
            self.check_echo(left.pop(done), done.value)

    def shaky(self, width: int) -> Run:
        asked = [self.echo("shaky") for _ in range(width)]
        try:
            answers = yield self.recorder.all_of([task for _, task in asked])
        except CallFailed as error:
            self.take(str(error))
        else:
            for (tag, _), answer in zip(asked, answers, strict=True):
                self.check_echo(tag, answer)

    def retry(self, attempts: int, seconds: float) -> Run:
        tag = self.tag()
        policy = RetryPolicy(timedelta(seconds=seconds), attempts, 2.0)
        try:
            answer = yield self.recorder.call_activity_with_retry("shaky", tag, read_json, policy)
        except CallFailed as error:
            self.take(str(error))
        else:
            self.check_echo(tag, answer)

    def timer(self, seconds: float) -> Run:
        fire_at = self.recorder.now + timedelta(seconds=seconds)
        yield self.recorder.create_timer(fire_at)
        if self.recorder.now < fire_at:
            raise GivenWrong(f"the timer for {fire_at} fired at {self.recorder.now}")
        self.take(self.recorder.now)

    def event(self, name: str) -> Run:
        self.take((yield self.recorder.wait_for_event(name, read_json)))

    def race(self, name: str, seconds: float) -> Run:
        event = self.recorder.wait_for_event(name, read_json)
        timer = self.recorder.create_timer(self.recorder.now + timedelta(seconds=seconds))
        winner = yield self.recorder.any_of([event, timer])
        if winner is event:
            timer.cancel()
            self.take(event.value)
        else:
            self.take("late")

    def child(self, name: str, instance_id: str | None, program: list[Statement]) -> Run:
        text = write_json({"program": program})
        try:
            self.take((yield self.recorder.call_child(name, text, instance_id, None, read_json)))
        except CallFailed as error:
            self.take(str(error))

    def children(self, name: str, programs: list[list[Statement]]) -> Run:
        texts = [write_json({"program": program}) for program in programs]
        try:
            self.take(
                (yield self.recorder.all_of([self.recorder.call_child(name, t, None, None, read_json) for t in texts]))
            )
        except CallFailed as error:
            self.take(str(error))

    def stray(self, name: str, program: list[Statement]) -> Run:
        """A child that is started and never waited for."""
        child = self.recorder.call_child(name, write_json({"program": program}), None, None, read_json)
        yield self.recorder.any_of([child, self.recorder.create_timer(self.recorder.now)])

    def abandon(self, width: int) -> Run:
        """Activities that nobody waits for; their results may find another execution."""
        asked = [self.echo()[1] for _ in range(width)]
        yield self.recorder.any_of([*asked, self.recorder.create_timer(self.recorder.now)])

    def call(self, key: str, operation: str) -> Run:
        try:
            self.take((yield self.recorder.call_entity(ledger_id(key), operation, write_json(self.tag()), read_json)))
        except CallFailed as error:
            self.take(str(error))

    def section(self, keys: list[str], program: list[Statement]) -> Run:
        """A critical section; what runs inside calls only what is locked."""
        with (yield self.recorder.lock_entities([ledger_id(key) for key in keys])) as lock:
            self.take(lock.entity_ids)
            for statement in program:
                yield from _STATEMENTS[statement[0]](self, *statement[1:])

    def signal(self, key: str, operation: str, seconds: float | None) -> Run:
        due_at = None if seconds is None else self.recorder.now + timedelta(seconds=seconds)
        self.recorder.signal_entity(ledger_id(key), operation, write_json(self.tag()), due_at)
        yield from ()

    def send(self, instance_id: str, name: str) -> Run:
        self.recorder.send_event(instance_id, name, write_json(self.tag()))
        yield from ()

    def status(self, value: int) -> Run:
        self.recorder.set_custom_status(write_json([value, self.digest]))
        yield from ()

    def fail(self) -> Run:
        yield from ()
        raise ProgramFailed(self.tag())

    def again(self) -> Run:
        if self.rounds_left:
            given = {"program": self.program, "rounds_left": self.rounds_left - 1, "digest": self.digest}
            self.recorder.continue_as_new(write_json(given))
        yield from ()


_STATEMENTS: dict[str, Callable[..., Run]] = {
    "activity": _Interpreter.activity,
    "fan": _Interpreter.fan,
    "drain": _Interpreter.drain,
    "shaky": _Interpreter.shaky,
    "retry": _Interpreter.retry,
    "timer": _Interpreter.timer,
    "event": _Interpreter.event,
    "race": _Interpreter.race,
    "child": _Interpreter.child,
    "children": _Interpreter.children,
    "stray": _Interpreter.stray,
    "abandon": _Interpreter.abandon,
    "call": _Interpreter.call,
    "section": _Interpreter.section,
    "signal": _Interpreter.signal,
    "send": _Interpreter.send,
    "status": _Interpreter.status,
    "fail": _Interpreter.fail,
    "again": _Interpreter.again,
}


def _as_generator(recorder: Recorder, text: str | None) -> Program:
    return _Interpreter(recorder, text).run()


async def _as_coroutine(recorder: Recorder, text: str | None) -> Any:
    run = _Interpreter(recorder, text).run()
    try:
        task = next(run)
        while True:
            try:
                value = await task
            except CallFailed as error:
                task = run.throw(error)
            else:
                task = run.send(value)
    except StopIteration as stop:
        return stop.value


class Activities:
    """What activities answer is drawn from the seed, and no two runs answer alike."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.run_count = 0

    def echo(self, call: ActivityCall) -> str:
        """The input, and which run of all this was."""
        self.run_count += 1
        return write_json({"of": call.input, "run": self.run_count})

    def shaky(self, call: ActivityCall) -> str:
        """The same, or a failure."""
        if self._chance.random() < 0.4:
            raise RuntimeError(f"shaky failed for {call.input}")
        return self.echo(call)


class _Ledger:
    """An entity that writes down the tag of each operation."""

    def __init__(self, entity: EntityId, state: str | None) -> None:
        self._tags: list[str] = read_json(state) or []

    def run(self, operation: Operation) -> OperationOutcome:
        tag = read_json(operation.input)
        self._tags.append(tag)
        if operation.name == "refuse":
            return OperationOutcome(None, failure=FailureDetails("Refused", tag))
        signals: tuple[EntitySignal, ...] = ()
        if operation.name == "pass_on":
            signals = (EntitySignal(ledger_id("last"), "add", write_json(f"{tag}!")),)
        return OperationOutcome(write_json(self._tags), write_json(len(self._tags)), signals)

    def roll_back(self, state: str | None) -> None:
        self._tags = read_json(state) or []


def simulated_registry(activities: Activities) -> Registry:
    """All functions of the simulated app."""
    registry = Registry()
    registry.add_orchestrator(OrchestratorDefinition("program_at_yield", _as_generator, write_json, AT_YIELD))
    registry.add_orchestrator(OrchestratorDefinition("program_at_call", _as_generator, write_json, AT_CALL))
    registry.add_orchestrator(OrchestratorDefinition("program_async", _as_coroutine, write_json, AT_CALL))
    registry.add_activity(ActivityDefinition("echo", activities.echo))
    registry.add_activity(ActivityDefinition("shaky", activities.shaky))
    registry.add_entity(EntityDefinition(LEDGER, _Ledger))
    return registry
