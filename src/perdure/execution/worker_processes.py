"""Processes that run plain activities beside the host's own, so that CPU-bound code uses more than one processor.

Each imports the app for itself and gets calls as texts; a host thread waits for each call. A process that ends is
replaced. What ran in it is run again by itself, unless it was alone in there: then it is what ended the process.
"""

import concurrent.futures
import itertools
import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from perdure.core.failures import FailureDetails
from perdure.core.registry import ActivityCall
from perdure.execution.time_limits import activity_timed_out
from perdure.execution.worker_frames import READY, Frame, call_frame, failure_in, read_frame, write_frame

ERROR_TYPE = "WorkerProcessEnded"
STARTS_MAX = 3
"""A process that ends so often before it is ready is not started again."""
STOP_SECONDS = 2.0
RESTART_SECONDS = 0.5

logger = logging.getLogger("perdure.execution")

CommandFor = Callable[[int], Sequence[str]]
"""The command of a worker process, given the number of the file that it finds its connection at."""


class ActivityFailed(Exception):
    """An activity failed in a worker process; ``failure_details`` says how."""

    def __init__(self, failure: FailureDetails) -> None:
        super().__init__(failure.message)
        self.failure_details = failure


class _ProcessEnded(Exception):
    """The process ended while a call was in it."""

    def __init__(self, how: str, *, was_alone: bool) -> None:
        super().__init__(how)
        self.was_alone = was_alone


class WorkerProcesses:
    """``count`` processes, kept running between ``start`` and ``stop``. ``call`` is for threads that may wait."""

    def __init__(self, command: CommandFor, count: int, *, seconds_max: float | None = None) -> None:
        self._seconds_max = seconds_max
        self._changed = threading.Condition()
        self._workers = [_Worker(number, command, self._changed) for number in range(1, count + 1)]

    def start(self) -> None:
        """Start the processes; returns before they are ready."""
        for worker in self._workers:
            worker.thread.start()

    def call(self, call: ActivityCall) -> str | None:
        """Run an activity in the process that has least to do; waits for one that is ready.

        Raises ActivityFailed, also for a process that ended or took too long.
        """
        try:
            return self._run_in(self._take(_with_least_to_do), call)
        except _ProcessEnded as ended:
            if ended.was_alone:
                raise self._ended(call, ended) from None
        try:
            return self._run_in(self._take(_idle), call)
        except _ProcessEnded as ended:
            raise self._ended(call, ended) from None

    def stop(self) -> None:
        """End the processes; what runs in them is abandoned. Twice-safe."""
        with self._changed:
            for worker in self._workers:
                worker.close()
            self._changed.notify_all()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.end_by(deadline)

    def _take(self, choose: "Callable[[list[_Worker]], _Worker | None]") -> "_Worker":
        with self._changed:
            while True:
                ready = [worker for worker in self._workers if worker.is_ready and not worker.is_reserved]
                chosen = choose(ready) if ready else None
                if chosen is not None:
                    chosen.is_reserved = choose is _idle
                    chosen.load += 1
                    return chosen
                if all(worker.is_given_up for worker in self._workers):
                    raise ActivityFailed(
                        FailureDetails(ERROR_TYPE, "No worker process runs: none could be started. The log says why.")
                    )
                self._changed.wait()

    def _run_in(self, worker: "_Worker", call: ActivityCall) -> str | None:
        try:
            answer = worker.ask(call).result(self._seconds_max)
        except concurrent.futures.TimeoutError:
            assert self._seconds_max is not None
            worker.kill()
            raise ActivityFailed(activity_timed_out(call.name, self._seconds_max)) from None
        finally:
            with self._changed:
                worker.load -= 1
                worker.is_reserved = False
                self._changed.notify_all()
        failure = failure_in(answer)
        if failure is not None:
            raise ActivityFailed(failure)
        result: str | None = answer["result"]
        return result

    def _ended(self, call: ActivityCall, ended: _ProcessEnded) -> ActivityFailed:
        text = f"Activity '{call.name}' failed: its worker process ended ({ended}) while it ran."
        return ActivityFailed(FailureDetails(ERROR_TYPE, text))


class _Worker:
    """One process after the other, and the thread that starts each and hears what it answers.

    ``is_ready``, ``load`` and the rest belong to whoever holds ``changed``.
    """

    def __init__(self, number: int, command: CommandFor, changed: threading.Condition) -> None:
        self.is_ready = False
        self.is_given_up = False
        self.is_reserved = False
        """For one call that must be alone."""
        self.load = 0
        # Its life is as long as that of its processes: some systems end a child with the thread that made it.
        self.thread = threading.Thread(target=self._keep, name=f"perdure-worker-{number}", daemon=True)
        self._command = command
        self._changed = changed
        self._calls = itertools.count(1)
        self._waiting: dict[int, concurrent.futures.Future[Frame]] = {}
        self._writing = threading.Lock()
        self._is_closed = False
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, call: ActivityCall) -> "concurrent.futures.Future[Frame]":
        """Send a call; the future gets the answer, or _ProcessEnded."""
        future: concurrent.futures.Future[Frame] = concurrent.futures.Future()
        number = next(self._calls)
        with self._changed:
            if not self.is_ready or self._connection is None:
                future.set_exception(_ProcessEnded("before it got the call", was_alone=False))
                return future
            self._waiting[number] = future
            connection = self._connection
        try:
            with self._writing:
                write_frame(connection, call_frame(number, call))
        except OSError:
            # It has gone; the thread that hears it ends every waiting call.
            connection.close()
        return future

    def kill(self) -> None:
        """End the process at once; another one follows."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Let the process end, and start no other."""
        self._is_closed = True
        if self._connection is not None:
            _hang_up(self._connection)

    def end_by(self, deadline: float) -> None:
        """Wait for its end, and force it then."""
        process = self._process
        if process is None:
            return
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep(self) -> None:
        failures = 0
        while not self._is_closed:
            was_ready = self._live()
            failures = 0 if was_ready else failures + 1
            if failures == STARTS_MAX:
                break
            if not was_ready and not self._is_closed:
                time.sleep(RESTART_SECONDS)
        with self._changed:
            self.is_given_up = True
            self._changed.notify_all()

    def _live(self) -> bool:
        """One process from its start to its end; answers whether it was ever ready."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                try:
                    process = subprocess.Popen(
                        self._command(theirs.fileno()), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                    )
                except OSError as error:
                    logger.error("A worker process cannot be started: %s", error)
                    return False
            with self._changed:
                self._process, self._connection = process, ours
                if self._is_closed:
                    _hang_up(ours)
            was_ready = False
            while (frame := read_frame(ours)) is not None:
                if frame == READY:
                    was_ready = True
                    with self._changed:
                        self.is_ready = True
                        self._changed.notify_all()
                else:
                    self._answer(frame)
            self._forget(process)
        if not self._is_closed:
            logger.warning("A worker process (pid %d) has ended: %s.", process.pid, _how(process.returncode))
        return was_ready

    def _answer(self, frame: Frame) -> None:
        with self._changed:
            future = self._waiting.pop(frame["number"], None)
        if future is not None:
            future.set_result(frame)

    def _forget(self, process: "subprocess.Popen[bytes]") -> None:
        """The connection has ended: so must the process, and every call in it."""
        with self._changed:
            self.is_ready = False
            self._connection = None
            waiting, self._waiting = list(self._waiting.values()), {}
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        how = _how(process.wait())
        for future in waiting:
            future.set_exception(_ProcessEnded(how, was_alone=len(waiting) == 1))


def _with_least_to_do(workers: list[_Worker]) -> _Worker | None:
    return min(workers, key=lambda worker: worker.load)


def _idle(workers: list[_Worker]) -> _Worker | None:
    return next((worker for worker in workers if worker.load == 0), None)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It has ended by itself.
        return


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
