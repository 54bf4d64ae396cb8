"""What a runner has been given and has not taken into an episode yet."""

from collections.abc import Callable

from perdure.core.messages import Envelope
from perdure.engine.live import LiveInstance


class InHand:
    """A round takes ``incoming`` away and leaves a new list: look it up after an await, never before."""

    __slots__ = ("incoming", "ready", "set_aside")

    def __init__(self) -> None:
        self.incoming: list[Envelope] = []
        self.set_aside: list[Envelope] = []
        """What has come for partitions that are about to be given back."""
        self.ready: dict[str, LiveInstance] = {}
        """Instances with a queue and no turn out, in order of arrival."""

    def take_incoming(self, room: int) -> list[Envelope]:
        """So many of the oldest."""
        if len(self.incoming) <= room:
            taken, self.incoming = self.incoming, []
        else:
            taken = self.incoming[: max(room, 0)]
            del self.incoming[: len(taken)]
        return taken

    def take_ready(self, count: int) -> list[LiveInstance]:
        """So many, those that have waited longest."""
        if len(self.ready) <= count:
            taken = list(self.ready.values())
            self.ready.clear()
        else:
            taken = [live for live, _ in zip(self.ready.values(), range(count), strict=False)]
            for live in taken:
                del self.ready[live.instance_id]
        return taken

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """The messages for these instances are others' now."""
        self.incoming = [envelope for envelope in self.incoming if not is_gone(envelope.target)]
        self.set_aside = [envelope for envelope in self.set_aside if not is_gone(envelope.target)]
