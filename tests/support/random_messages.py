"""What may happen to a ``World`` next, drawn by hypothesis."""

from datetime import timedelta

from hypothesis import strategies as st

from perdure.core import events as ev
from support.replay_world import World

EITHER = st.booleans()


@st.composite
def random_messages(
    draw: st.DrawFn, world: World, are_final: st.SearchStrategy[bool] = EITHER
) -> list[ev.HistoryEvent]:
    """What may arrive next: some open work ends, in any order, well or not; some events are raised.

    No retry helps against failures that ``are_final``.
    """
    messages: list[ev.HistoryEvent] = []
    open_ids = {e.task_id for e in world.open.values()}
    for task_id in draw(st.lists(st.sampled_from(sorted(open_ids)), unique=True, max_size=3)) if open_ids else ():
        never_fails = ev.TimerCreated | ev.EntityLockRequested
        fails = draw(st.booleans()) and not isinstance(world.open[world.seq_of(task_id)], never_fails)
        if fails:
            non_retriable = draw(are_final)
            messages.append(world.failure(task_id, is_non_retriable=non_retriable))
        else:
            messages.append(world.completion(task_id, draw(st.sampled_from([None, "1", "2", "3"]))))
    for name in draw(st.lists(st.sampled_from(["GO", "go", "Stop", "else"]), max_size=2)):
        messages.append(ev.EventRaised(name, draw(st.sampled_from([None, "8", "9"]))))
    if draw(st.booleans()):
        messages.append(ev.TaskCompleted(999, 999, "nobody asked"))
    for message in messages:
        if isinstance(message, ev.TimerFired):
            world.now = max(world.now, message.fire_at)
    world.now += timedelta(seconds=draw(st.integers(0, 3)))
    return messages
