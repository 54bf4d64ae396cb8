"""The entity that keeps one schedule. It signals itself for the next run."""

from datetime import UTC, datetime
from typing import Any

from durabletask.entities import DurableEntity
from durabletask.scheduled.errors import ScheduleInvalidTransitionError
from durabletask.scheduled.options import ScheduleCreationOptions, ScheduleStatus, ScheduleUpdateOptions
from durabletask.scheduled.state import ScheduleConfiguration, ScheduleState, new_token
from durabletask.serialization import DEFAULT_DATA_CONVERTER

ENTITY_NAME = "schedule"
RUN = "run_schedule"


class Schedule(DurableEntity):
    """One schedule; its key is the schedule's id."""

    __durable_entity_name__ = ENTITY_NAME

    def create_schedule(self, options: ScheduleCreationOptions) -> None:
        """Begin, or begin anew, as the options say."""
        now = _now()
        before = self._load()
        state = ScheduleState(
            status=ScheduleStatus.ACTIVE,
            created_at=before.created_at or now,
            modified_at=now,
            configuration=ScheduleConfiguration.created(options),
        )
        self._plan(state)

    def update_schedule(self, options: ScheduleUpdateOptions) -> None:
        """Change the schedule, which goes on or stays paused."""
        state, configuration = self._existing("update_schedule", None)
        configuration.update(options)
        state.execution_token = new_token()
        state.modified_at = _now()
        state.next_run_at = None
        self._plan(state)

    def pause_schedule(self) -> None:
        """Start nothing until it is resumed."""
        state, _ = self._existing("pause_schedule", ScheduleStatus.PAUSED)
        state.execution_token = new_token()
        state.next_run_at = None
        self._save(state)

    def resume_schedule(self) -> None:
        """Go on."""
        state, _ = self._existing("resume_schedule", ScheduleStatus.ACTIVE)
        state.execution_token = new_token()
        self._plan(state)

    def run_schedule(self, execution_token: str) -> None:
        """Start the orchestration if it is time, and ask oneself for the next run."""
        state = self._load()
        configuration = state.configuration
        if (
            configuration is None
            or state.status is not ScheduleStatus.ACTIVE
            or state.execution_token != execution_token
        ):
            return  # planned before something changed
        now = _now()
        due_at = state.next_run_at or _first_run(state, configuration, now)
        if configuration.end_at is not None and due_at > configuration.end_at:
            self.delete()
            return
        if due_at <= now:
            self._start(configuration, due_at)
            state.last_run_at = due_at
            due_at = _run_after(state, configuration, now)
            if configuration.end_at is not None and due_at > configuration.end_at:
                self.delete()
                return
        state.next_run_at = due_at
        self._save(state)
        self.signal_entity(self.entity_context.entity_id, RUN, execution_token, due_at)

    def _plan(self, state: ScheduleState) -> None:
        self._save(state)
        if state.status is ScheduleStatus.ACTIVE:
            self.signal_entity(self.entity_context.entity_id, RUN, state.execution_token)

    def _start(self, configuration: ScheduleConfiguration, due_at: datetime) -> None:
        instance_id = configuration.orchestration_instance_id or f"{configuration.schedule_id}-{due_at.isoformat()}"
        value: Any = DEFAULT_DATA_CONVERTER.deserialize(configuration.orchestration_input)
        self.schedule_new_orchestration(configuration.orchestration_name, value, instance_id)

    def _existing(self, operation: str, target: ScheduleStatus | None) -> tuple[ScheduleState, ScheduleConfiguration]:
        state = self._load()
        configuration = state.configuration
        if configuration is None or state.status in (ScheduleStatus.UNINITIALIZED, target):
            key = self.entity_context.entity_id.key
            raise ScheduleInvalidTransitionError(key, state.status.value, (target or state.status).value, operation)
        if target is not None:
            state.status = target
        return state, configuration

    def _load(self) -> ScheduleState:
        kept = self.get_state(dict)
        return ScheduleState() if kept is None else ScheduleState.from_json(kept)

    def _save(self, state: ScheduleState) -> None:
        self.set_state(state.to_json())


def _first_run(state: ScheduleState, configuration: ScheduleConfiguration, now: datetime) -> datetime:
    begins_at = configuration.start_at or state.created_at or now
    if begins_at > now:
        return begins_at
    if configuration.start_immediately_if_late and state.last_run_at is None:
        return now
    return _run_after(state, configuration, now)


def _run_after(state: ScheduleState, configuration: ScheduleConfiguration, now: datetime) -> datetime:
    """The next multiple of the interval after the beginning that lies ahead."""
    begins_at = configuration.start_at or state.created_at or now
    return begins_at + ((now - begins_at) // configuration.interval + 1) * configuration.interval


def _now() -> datetime:
    return datetime.now(UTC)
