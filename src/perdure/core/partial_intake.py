"""An intake of which the code took only the beginning."""

from collections.abc import Sequence

import msgspec

from perdure.core.instance import Instance
from perdure.core.messages import Envelope, RaiseEvent, StartExecution
from perdure.core.receiving import Intake, receive


class PartialIntake(msgspec.Struct, eq=False):
    """What was taken, and what was not.

    ``left`` come again, first, in order. ``again``: events that came with the start, which cannot be taken in part, are
    sent again; so are the events after them, which are consumed too, or they would overtake them.
    """

    intake: Intake
    left: list[Envelope]
    again: list[Envelope]


def take_only(instance: Instance, intake: Intake, count: int, waiting: Sequence[Envelope] = ()) -> PartialIntake:
    """The first ``count`` events of an intake that ran code. The episode's time stays.

    ``waiting`` has come since the intake.
    """
    if count >= len(intake.events):
        return PartialIntake(intake, [], [])
    taken = place = 0
    while taken < count:
        message = intake.consumed[place].message
        taken += 1 + len(message.carried) if isinstance(message, StartExecution) else 1
        place += 1
    partial = receive(instance, intake.consumed[:place], intake.at)
    partial.at = intake.at
    left = intake.consumed[place:]
    if taken == count:
        return PartialIntake(partial, left, [])
    excess = partial.events[count:]
    del partial.events[count:]
    target = instance.origin.instance_id
    again = [Envelope(target, RaiseEvent(event.name, event.input)) for event in excess]  # type: ignore[union-attr]
    # What is being stored for the first time cannot be consumed at the same moment.
    for later in (*left, *(envelope for envelope in waiting if envelope.position is not None)):
        if type(later.message) is RaiseEvent:
            partial.consumed.append(later)
            again.append(Envelope(target, later.message))
    return PartialIntake(partial, [envelope for envelope in left if type(envelope.message) is not RaiseEvent], again)
