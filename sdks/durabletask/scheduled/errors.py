"""What can be wrong about a schedule."""


class ScheduleError(Exception):
    """Something about a schedule."""


class ScheduleNotFoundError(ScheduleError):
    """There is no such schedule."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"There is no schedule with the id '{schedule_id}'.")
        self.schedule_id = schedule_id


class ScheduleClientValidationError(ScheduleError):
    """What a client asked for a schedule cannot be."""

    def __init__(self, schedule_id: str, message: str) -> None:
        super().__init__(f"The schedule '{schedule_id}' cannot be as asked: {message}")
        self.schedule_id = schedule_id


class ScheduleInvalidTransitionError(ScheduleError):
    """The schedule's status does not allow the operation."""

    def __init__(self, schedule_id: str, from_status: object, to_status: object, operation_name: str) -> None:
        super().__init__(
            f"The schedule '{schedule_id}' is {from_status}; '{operation_name}' cannot make it {to_status} from there."
        )
        self.schedule_id = schedule_id
        self.from_status = from_status
        self.to_status = to_status
        self.operation_name = operation_name
