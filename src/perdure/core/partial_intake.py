"""An intake of which the code took only the beginning."""

import msgspec

from perdure.core.instance import Instance
from perdure.core.messages import Envelope, RaiseEvent, StartExecution
from perdure.core.receiving import Intake, receive


class PartialIntake(msgspec.Struct, eq=False):
    """What was taken, and what was not.

    ``left`` come again, first, in order. ``carried``: events that came with the start, which cannot be taken in part;
    they are sent again.
    """

    intake: Intake
    left: list[Envelope]
    carried: list[Envelope]


def take_only(instance: Instance, intake: Intake, count: int) -> PartialIntake:
    """The first ``count`` events of an intake that ran code. The episode's time stays."""
    if count >= len(intake.events):
        return PartialIntake(intake, [], [])
    taken = place = 0
    while taken < count:
        message = intake.consumed[place].message
        taken += 1 + len(message.carried) if isinstance(message, StartExecution) else 1
        place += 1
    partial = receive(instance, intake.consumed[:place], intake.at)
    partial.at = intake.at
    carried: list[Envelope] = []
    if taken > count:
        excess = partial.events[count:]
        del partial.events[count:]
        target = instance.origin.instance_id
        carried = [Envelope(target, RaiseEvent(event.name, event.input)) for event in excess]  # type: ignore[union-attr]
    return PartialIntake(partial, intake.consumed[place:], carried)
