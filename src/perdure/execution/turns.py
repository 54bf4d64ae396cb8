"""Runs turns on a thread of their own, so that user code never holds up the engine loop (architecture.md J8).

A whole batch costs one hand-over. A turn that does not return in a second keeps its thread to itself and
the rest of the batch goes on in a fresh one; one that takes longer than a function may is given up.
Programs are closed here too: their ``finally`` blocks are user code.
"""

import asyncio
import collections
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from perdure.contracts.executor import EntityTurn, OrchestrationTurn, Turn
from perdure.contracts.observer import Observer, TurnBlocked, TurnGivenUp
from perdure.execution import debugger
from perdure.execution.doorbell import Doorbell

logger = logging.getLogger("perdure.execution")

RunTurn = Callable[[Turn], None]
"""Runs one turn and sets its result; never raises."""


class TurnLane(Protocol):
    """Where turns run. ``run`` and ``late_turns`` promise what ``Executor.advance`` and ``late_turns`` do."""

    def start(self) -> None:
        """Begin; must be called on the engine loop."""
        ...

    def stop(self) -> None:
        """Let go of what runs. Twice-safe."""
        ...

    async def run(self, turns: Sequence[Turn]) -> Sequence[Turn]: ...

    async def late_turns(self) -> list[Turn]: ...

    def let_go(self, turn: Turn) -> None:
        """Run a turn whose result nobody waits for, when there is nothing better to do."""
        ...

    def turn_here(self) -> Turn | None:
        """The turn that the calling thread is in."""
        ...


@dataclass(frozen=True, slots=True)
class TurnPatience:
    """How long, in seconds, others wait for a turn.

    ``replace_thread`` is for the first; with n turns blocked already it is divided by n + 1, so that even fifty
    of them together hold up the others for less than five times as long.
    """

    batch: float = 0.02
    replace_thread: float = 1.0
    replace_thread_min: float = 0.05
    announce: float = 2.0
    overrun: float | None = None
    """Given up then: what it was given is tried again on another thread, from what is committed."""


class _Batch:
    """Turns handed over together; taken one at a time, by one thread after the other if need be."""

    __slots__ = ("cut", "done", "finished", "late", "left", "running", "waiting")

    cut: asyncio.TimerHandle

    def __init__(self, turns: Sequence[Turn], finished: asyncio.Future[None]) -> None:
        self.waiting = collections.deque(turns)
        self.left = len(turns)
        self.finished = finished
        self.running: list[Turn] = []
        """Turns the caller no longer waits for, as it is told."""
        self.late: set[int] = set()
        """ids of those that are to come back with their result; the others were given up."""
        self.done: list[Turn] = []
        """Late turns that have their result."""


class _TurnThread:
    """One thread; ``current`` is the turn in user code and since when (monotonic seconds), ``batch`` what it is of.

    Raises RuntimeError or OSError when the process may have no more threads or files.
    """

    def __init__(self, number: int, runner: "TurnThreads") -> None:
        self.current: tuple[Turn, float] | None = None
        self.batch: _Batch | None = None
        self.retired = False
        self.announced: Turn | None = None
        self._doorbell = Doorbell()
        self._runner = runner
        self.thread = threading.Thread(target=self._run, name=f"perdure-turns-{number}", daemon=True)
        self.thread.start()

    def wake(self) -> None:
        """Look for work; counted, so that none is missed."""
        self._doorbell.ring()

    def retire(self) -> None:
        """Take nothing more; end, at once or with the turn in user code."""
        self.retired = True
        self._doorbell.ring()

    def _run(self) -> None:
        runner = self._runner
        while True:
            self._doorbell.wait()
            while not self.retired:
                try:
                    batch = runner.batches[0]
                except IndexError:
                    if self._run_unawaited():
                        continue
                    break
                self._run_batch(batch)
            if self.retired or runner.is_stopped:
                return

    def _run_batch(self, batch: _Batch) -> None:
        runner = self._runner
        self.batch = batch
        take = batch.waiting.popleft
        run = runner.run_turn
        while not self.retired:
            try:
                turn = take()
            except IndexError:
                # The batch is handed out; the next one may begin while another thread still has one of its turns.
                runner.handed_out(batch)
                return
            self.current = (turn, time.monotonic())
            run(turn)
            self.current = None
            runner.turn_done(batch, turn)

    def _run_unawaited(self) -> bool:
        try:
            turn = self._runner.unawaited.popleft()
        except IndexError:
            return False
        self.batch = None
        self.current = (turn, time.monotonic())
        self._runner.run_turn(turn)
        self.current = None
        return True


class TurnThreads:
    """The lane of turns. All but ``turn_done`` and ``handed_out`` belongs to the engine loop."""

    def __init__(self, run_turn: RunTurn, patience: TurnPatience, observers: Sequence[Observer]) -> None:
        self.run_turn = run_turn
        self.batches: collections.deque[_Batch] = collections.deque()
        self.unawaited: collections.deque[Turn] = collections.deque()
        self.is_stopped = False
        self._patience = patience
        self._observers = observers
        self._lock = threading.Lock()
        self._late: list[Turn] = []
        self._late_waiter: asyncio.Future[None] | None = None
        self._threads: list[_TurnThread] = []
        self._thread: _TurnThread | None = None
        self._count = 0
        self._watchdog: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; must be called on the engine loop."""
        self._loop = asyncio.get_running_loop()
        self.is_stopped = False
        self._thread = self._new_thread()
        self._watch()

    def stop(self) -> None:
        """Let the threads end; one that is stuck in user code is abandoned. Twice-safe."""
        self.is_stopped = True
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self.batches.clear()
        now = time.monotonic()
        for thread in self._threads:
            current = thread.current
            if current is not None and now - current[1] >= self._patience.batch:
                thread.retire()
            else:
                thread.wake()
        for thread in self._threads:
            if not thread.retired:
                thread.thread.join(timeout=1)
                thread.retired = True
        self._threads.clear()
        self._thread = None

    async def run(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run a batch; see ``Executor.advance``."""
        if not turns:
            return ()
        loop = asyncio.get_running_loop()
        batch = _Batch(turns, loop.create_future())
        assert self._thread is not None, "not started"
        self.batches.append(batch)
        batch.cut = loop.call_later(self._patience.batch, self._cut, batch, turns)
        self._thread.wake()
        try:
            await batch.finished
        finally:
            batch.cut.cancel()
        return batch.running

    def let_go(self, turn: Turn) -> None:
        """See ``TurnLane``; after ``stop`` it never runs."""
        is_first = not self.unawaited
        self.unawaited.append(turn)
        if is_first and self._thread is not None:
            self._thread.wake()

    async def late_turns(self) -> list[Turn]:
        """See ``Executor.late_turns``."""
        while not self._late:
            self._late_waiter = asyncio.get_running_loop().create_future()
            await self._late_waiter
        late, self._late = self._late, []
        return late

    def turn_here(self) -> Turn | None:
        """See ``TurnLane``; asked by whoever writes a log line, on its own thread."""
        me = threading.current_thread()
        current = next((t.current for t in list(self._threads) if t.thread is me), None)
        return None if current is None else current[0]

    def turn_done(self, batch: _Batch, turn: Turn) -> None:
        """A turn has its result; called on its thread."""
        with self._lock:
            batch.left -= 1
            if batch.late:
                if id(turn) not in batch.late:
                    return
                batch.done.append(turn)
                wake = self._give_late
            elif batch.left == 0:
                wake = self._finish
            else:
                return
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(wake, batch)
        except RuntimeError:
            # The loop has closed: the process is stopping and the turn's result has no taker.
            return

    def handed_out(self, batch: _Batch) -> None:
        """All its turns were taken; called on a thread, by each that finds it so."""
        with contextlib.suppress(ValueError):
            self.batches.remove(batch)

    def _finish(self, batch: _Batch) -> None:
        if not batch.finished.done():
            batch.finished.set_result(None)

    def _cut(self, batch: _Batch, turns: Sequence[Turn]) -> None:
        current = self._thread.current if self._thread is not None else None
        left = 0.0
        if current is not None:
            left = self._patience.batch - (time.monotonic() - current[1])
        elif batch.waiting:
            # Between two turns, or not awake yet.
            left = self._patience.batch
        if left > 0:
            # Patience is with one turn, not with a batch that gets on.
            batch.cut = asyncio.get_running_loop().call_later(left, self._cut, batch, turns)
            return
        with self._lock:
            if batch.left:
                batch.running = [turn for turn in turns if turn.result is None]
                batch.late = {id(turn) for turn in batch.running}
        if batch.late:
            self._finish(batch)

    def _give_late(self, batch: _Batch) -> None:
        with self._lock:
            done, batch.done = batch.done, []
        self._give_back(done)

    def _give_back(self, turns: Sequence[Turn]) -> None:
        self._late.extend(turns)
        if self._late_waiter is not None and not self._late_waiter.done():
            self._late_waiter.set_result(None)

    def _new_thread(self) -> _TurnThread:
        self._count += 1
        thread = _TurnThread(self._count, self)
        self._threads.append(thread)
        return thread

    def _watch(self) -> None:
        assert self._loop is not None
        blocked = sum(thread.retired and thread.current is not None for thread in self._threads)
        patience = max(self._patience.replace_thread / (1 + blocked), self._patience.replace_thread_min)
        self._watchdog = self._loop.call_later(patience / 4, self._watch)
        now = time.monotonic()
        for thread in list(self._threads):
            current = thread.current
            if current is None:
                if thread.retired:
                    self._threads.remove(thread)
                continue
            turn, since = current
            if now - since >= patience and thread is self._thread:
                self._replace(thread)
            self._judge(thread, turn, now - since)

    def _judge(self, thread: _TurnThread, turn: Turn, seconds: float) -> None:
        """Say that a turn takes long, and give it up when it takes too long; nothing while somebody debugs."""
        patience = self._patience
        is_first = seconds >= patience.announce and thread.announced is not turn
        is_overrun = patience.overrun is not None and seconds >= patience.overrun and not turn.is_given_up
        if not (is_first or is_overrun) or debugger.is_attached():
            return
        if is_first:
            thread.announced = turn
            self._announce(TurnBlocked, thread, turn, seconds)
        if is_overrun:
            self._give_up(thread, turn, seconds)

    def _give_up(self, thread: _TurnThread, turn: Turn, seconds: float) -> None:
        """Give a turn back without a result; its thread ends when its code returns, if ever."""
        if thread is self._thread:
            self._replace(thread)
        batch = thread.batch
        if not thread.retired or batch is None:
            # No thread could be made, or nobody waits for it; look again soon.
            return
        with self._lock:
            if turn.result is not None or id(turn) not in batch.late:
                return
            batch.late.discard(id(turn))
            turn.is_given_up = True
        self._announce(TurnGivenUp, thread, turn, seconds)
        self._give_back([turn])

    def _replace(self, thread: _TurnThread) -> None:
        try:
            fresh = self._new_thread()
        except (RuntimeError, OSError) as error:
            # Tried again soon: somebody may give a thread or a file back.
            logger.error("No thread can be made beside one that user code keeps: %s", error)
            return
        thread.retire()
        self._thread = fresh
        fresh.wake()

    def _announce(
        self, fact: type[TurnBlocked] | type[TurnGivenUp], thread: _TurnThread, turn: Turn, seconds: float
    ) -> None:
        frame = sys._current_frames().get(thread.thread.ident or -1)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        instance_id, name = _who(turn)
        for observer in self._observers:
            if fact in observer.wants:
                observer.announce(fact(instance_id, name, seconds, stack))


class InlineTurns:
    """The same lane without threads, for simulation and tests: turns run where they are asked for."""

    def __init__(self, run_turn: RunTurn) -> None:
        self._run_turn = run_turn
        self._never: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""

    async def run(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run a batch at once; nothing is ever late."""
        for turn in turns:
            self._run_turn(turn)
        return ()

    def let_go(self, turn: Turn) -> None:
        """Run it at once."""
        self._run_turn(turn)

    def turn_here(self) -> Turn | None:
        """None: no thread is a turn's own."""
        return None

    async def late_turns(self) -> list[Turn]:
        """Wait for ever: there are none."""
        await asyncio.get_running_loop().create_future()
        return []


def _who(turn: Turn) -> tuple[str, str]:
    if isinstance(turn, EntityTurn):
        return str(turn.entity), turn.entity.name
    assert isinstance(turn, OrchestrationTurn)
    origin = getattr(turn.session, "origin", None)
    return (origin.instance_id, origin.name) if origin is not None else ("?", "?")
