"""External events: who waits for which name, and what nobody has taken yet. Names are compared without case."""

from collections import deque

from perdure.core.actions import CarriedEvent
from perdure.core.replay.tasks import EventTask, GroupTask, Task

CHARGE_PER_EVENT = 200


class ExternalEvents:
    """The events of one execution: a queue of waiters and a queue of buffered events per name."""

    __slots__ = ("_arrival_count", "_awaited_names", "_buffered", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, deque[EventTask]] = {}
        self._buffered: dict[str, deque[tuple[int, CarriedEvent]]] = {}
        self._arrival_count = 0
        self._awaited_names: tuple[str, ...] | None = ()

    def wait(self, task: EventTask) -> None:
        """Give the task the oldest buffered event of its name, else let it wait."""
        key = task.name.lower()
        buffered = self._buffered.get(key)
        if buffered is None:
            self._waiting.setdefault(key, deque()).append(task)
            self._awaited_names = None
            return
        _, event = buffered.popleft()
        if not buffered:
            del self._buffered[key]
        task.take_event(event.input)

    def take_waiter(self, name: str, awaited: Task | None) -> EventTask | None:
        """Whose event this is, or None.

        The oldest waiter among those the code waits for right now, else the oldest of all:
        a wait that lost against a timer must not swallow the event meant for its successor.
        """
        key = name.lower()
        waiters = self._waiting.get(key)
        if waiters is None:
            return None
        chosen = waiters[0]
        if len(waiters) > 1 and awaited is not None:
            wanted = _event_tasks_in(awaited)
            chosen = next((waiter for waiter in waiters if waiter in wanted), chosen)
        waiters.remove(chosen)
        if not waiters:
            del self._waiting[key]
        self._awaited_names = None
        return chosen

    def forget(self, task: EventTask) -> None:
        """The task takes no event any more. Twice-safe."""
        waiters = self._waiting.get(task.name.lower())
        if waiters is None or task not in waiters:
            return
        waiters.remove(task)
        if not waiters:
            del self._waiting[task.name.lower()]
        self._awaited_names = None

    def keep(self, name: str, input: str | None) -> None:
        """Buffer an event for a later wait or the next execution."""
        self._buffered.setdefault(name.lower(), deque()).append((self._arrival_count, CarriedEvent(name, input)))
        self._arrival_count += 1

    def awaited_names(self) -> tuple[str, ...]:
        """The names waited for, each once, as the code wrote them."""
        if self._awaited_names is None:
            self._awaited_names = tuple(waiters[0].name for waiters in self._waiting.values())
        return self._awaited_names

    def size(self) -> int:
        """About how much memory the buffered events hold, in bytes."""
        return sum(
            CHARGE_PER_EVENT + len(event.input or "") for buffered in self._buffered.values() for _, event in buffered
        )

    def carried(self) -> tuple[CarriedEvent, ...]:
        """What nobody took, in order of arrival."""
        arrivals = sorted((entry for queue in self._buffered.values() for entry in queue), key=lambda entry: entry[0])
        return tuple(event for _, event in arrivals)


def _event_tasks_in(task: Task) -> set[Task]:
    found: set[Task] = set()
    open_groups = [task]
    while open_groups:
        member = open_groups.pop()
        if member in found or member.is_completed:
            continue
        found.add(member)
        if isinstance(member, GroupTask):
            open_groups.extend(member.children)
    return found
