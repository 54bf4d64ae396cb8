"""LocalExecutor: orchestrators, entities and activities of this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perdure.contracts.executor import ActivityResult, EntityTurn, OrchestrationSession, ServedKind, Turn
from perdure.contracts.observer import Observer
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.core.actions import Fail, TurnResult
from perdure.core.entities.batch import run_batch
from perdure.core.errors import NotRegistered
from perdure.core.events import HistoryEvent
from perdure.core.failures import FailureDetails, failure_of
from perdure.core.instance import Origin
from perdure.core.registry import OperationOutcome, OrchestratorDefinition, Registry
from perdure.execution.black_box import Box, NoBox, turn_key
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local_activities import LocalActivities
from perdure.execution.local_session import LocalSession
from perdure.execution.poison import poisoned
from perdure.execution.quarantine import Quarantine
from perdure.execution.turns import InlineTurns, RunTurn, TurnLane, TurnPatience, TurnThreads
from perdure.execution.user_loop import UserLoop
from perdure.execution.watched_session import WatchedSession


@dataclass(frozen=True, slots=True)
class ExecutionLimits:
    """How much user code runs at once, and how large a result may be."""

    threads_max: int
    activities_max: int
    payload_bytes_max: int = 16 * 1024 * 1024
    activity_seconds_max: float | None = None
    """How long one activity may run; it fails then."""


@dataclass(frozen=True, slots=True)
class RunningTurn:
    """The orchestrator or entity whose code a thread is in."""

    name: str
    is_replaying: bool


ActivityLane = LocalActivities | InlineActivities


class LocalExecutor:
    """Runs what the registry knows (contracts/executor.py). ``activities`` None: threads and the user loop."""

    def __init__(
        self,
        registry: Registry,
        user_loop: UserLoop,
        limits: ExecutionLimits,
        turns: Callable[[RunTurn], TurnLane],
        activities: ActivityLane | None = None,
        box: Box | None = None,
    ) -> None:
        self._registry = registry
        self._box: Box = NoBox() if box is None else box
        self._turns = turns(self._run_turn)
        self._activities: ActivityLane = activities or LocalActivities(
            registry,
            user_loop,
            threads_max=limits.threads_max,
            concurrent_max=limits.activities_max,
            payload_bytes_max=limits.payload_bytes_max,
            box=self._box,
            seconds_max=limits.activity_seconds_max,
        )

        self._quarantine = Quarantine(self._box, self._activities.begin)

    async def start(self) -> None:
        """Begin; must be called on the engine loop."""
        self._turns.start()
        self._activities.start()

    async def drain(self, seconds: float) -> bool:
        """Begin no more activities and wait for the running ones."""
        self._quarantine.stop()
        return await self._activities.drain(seconds)

    async def stop(self) -> None:
        """Let go of the threads. Twice-safe."""
        self._quarantine.stop()
        self._turns.stop()
        self._activities.stop()

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> LocalSession:
        """Open a session; its program begins, and replays, in its first turn."""
        definition = self._registry.orchestrators.get(origin.name)
        if isinstance(definition, OrchestratorDefinition) and definition.around_turn is not None:
            return WatchedSession(self._registry, origin, history, self._turns.let_go, around=definition.around_turn)
        return LocalSession(self._registry, origin, history, self._turns.let_go)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run turns on the turn lane."""
        return await self._turns.run(turns)

    async def late_turns(self) -> list[Turn]:
        """Turns that took longer than the lane's patience, and those that took longer than any may."""
        late = await self._turns.late_turns()
        for turn in late:
            if turn.is_given_up:
                self._give_up(turn)
        return late

    def _give_up(self, turn: Turn) -> None:
        """Its code counts as if it had ended the process; the next try is another session's."""
        if isinstance(turn, EntityTurn):
            self._box.suspect(turn_key(str(turn.entity)))
            return
        session: OrchestrationSession = turn.session
        assert isinstance(session, LocalSession)
        self._box.suspect(_key_of(session))
        session.abandon()

    def recall(self, turn: Turn) -> bool:
        """Never: a turn is with its thread from the start."""
        return False

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Queue activities."""
        self._activities.begin(self._quarantine.sift(activities))

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop activities that have not begun."""
        self._quarantine.forget(is_gone)
        self._activities.forget(is_gone)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        """Nothing: what runs here ends for whoever asks here."""

    def begun(self) -> set[int]:
        """Those on threads and on the loop."""
        return self._activities.begun()

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Those that wait for a thread or for the loop."""
        return self._activities.take_back(is_wanted)

    def room(self, name: str, version: str | None) -> int:
        """Nothing for a name that is not registered."""
        return self._activities.room(name)

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it is registered."""
        return self._registry.has(kind.value, name)

    async def activity_results(self) -> list[ActivityResult]:
        """Ended activities."""
        return await self._activities.results()

    def work_loads(self) -> list[WorkLoad]:
        """Its activities; turns do not wait long enough to be counted."""
        return self._activities.work_loads()

    def turn_here(self) -> RunningTurn | None:
        """Whose turn the calling thread is in; None on any other thread."""
        turn = self._turns.turn_here()
        if turn is None:
            return None
        if isinstance(turn, EntityTurn):
            return RunningTurn(turn.entity.name, is_replaying=False)
        session: OrchestrationSession = turn.session
        assert isinstance(session, LocalSession)
        return RunningTurn(session.origin.name, session.is_replaying)

    def _run_turn(self, turn: Turn) -> None:
        if isinstance(turn, EntityTurn):
            key = turn_key(str(turn.entity))
            self._box.enter(key)
            try:
                turn.result = self._poisoned_batch(turn) if self._box.is_poisoned(key) else self._run_entity(turn)
            except BaseException as error:
                turn.result = _failed_batch(turn, failure_of(error))
            (self._box.leave_given_up if turn.is_given_up else self._box.leave)(key)
            return
        session: OrchestrationSession = turn.session
        assert isinstance(session, LocalSession)
        key = _key_of(session)
        self._box.enter(key)
        try:
            if not turn.events:
                session.end()
                turn.result = TurnResult()
            elif self._box.is_poisoned(key):
                turn.result = TurnResult(ending=Fail(poisoned(f"orchestrator '{session.origin.name}'")))
            else:
                turn.result = session.advance(turn.events)
        except BaseException as error:
            # What an SDK could not turn into a result is still the instance's failure, not the thread's.
            turn.result = TurnResult(ending=Fail(failure_of(error)))
        if not turn.is_given_up:
            self._box.leave(key)
        else:
            self._box.leave_given_up(key)
            session.end()

    def _poisoned_batch(self, turn: EntityTurn) -> list[OperationOutcome]:
        return _failed_batch(turn, poisoned(f"entity '{turn.entity}'"))

    def _run_entity(self, turn: EntityTurn) -> list[OperationOutcome]:
        try:
            definition = self._registry.entity(turn.entity.name)
        except NotRegistered as error:
            return _failed_batch(turn, failure_of(error))
        program = definition.open(turn.entity, turn.state)
        return run_batch(program, turn.state, turn.operations, definition.failed)


def _key_of(session: LocalSession) -> str:
    return turn_key(session.origin.instance_id, session.origin.execution_id)


def _failed_batch(turn: EntityTurn, failure: FailureDetails) -> list[OperationOutcome]:
    return [OperationOutcome(turn.state, failure=failure) for _ in turn.operations]


def turn_threads(patience: TurnPatience, observers: Sequence[Observer]) -> Callable[[RunTurn], TurnLane]:
    """The turn lane of a real process."""
    return lambda run_turn: TurnThreads(run_turn, patience, observers)


def inline_turns(run_turn: RunTurn) -> TurnLane:
    """The turn lane of simulation and tests."""
    return InlineTurns(run_turn)
