"""Turns in user code beyond their round."""

from collections.abc import Iterator, Sequence

from perdure.contracts.executor import Executor, Turn
from perdure.contracts.records import Round
from perdure.engine.live import LiveInstance
from perdure.engine.settlements import Settlements


class TurnsOut:
    """Of one runner: whose they are, and what came back."""

    def __init__(self, executor: Executor, settlements: Settlements) -> None:
        self._executor = executor
        self._settlements = settlements
        self._late: list[Turn] = []
        self._out: dict[int, LiveInstance] = {}
        """Id of the turn → its instance."""
        self._abandoned: dict[int, LiveInstance] = {}
        """Those whose instance is not ours any more: nothing comes of their result."""

    @property
    def has_late(self) -> bool:
        """Whether any came back."""
        return bool(self._late)

    @property
    def has_abandoned(self) -> bool:
        """Whether there are any of which nothing comes."""
        return bool(self._abandoned)

    def instances(self) -> list[LiveInstance]:
        """Whose they are, without what was abandoned."""
        return list(self._out.values())

    async def receive(self) -> None:
        """Wait for some that come back."""
        late = await self._executor.late_turns()
        self._late.extend(late)

    def leave_running(
        self, running: Sequence[Turn], begun: list[tuple[LiveInstance, Turn]], round_: Round
    ) -> list[tuple[LiveInstance, Turn]]:
        """These of the turns begun are still running: what they consume and has no row is kept. Gives the others."""
        still = {id(turn) for turn in running}
        ended: list[tuple[LiveInstance, Turn]] = []
        for live, turn in begun:
            if id(turn) in still:
                self._out[id(turn)] = live
                round_.kept.extend(e for e in live.in_hand() if e.position is None)
            else:
                ended.append((live, turn))
        return ended

    def take_late(self) -> Iterator[tuple[Turn, LiveInstance]]:
        """What came back, with its instance; whose instance was abandoned is told that it counts no more."""
        late, self._late = self._late, []
        for turn in late:
            if (live := self._abandoned.pop(id(turn), None)) is None:
                yield turn, self._out.pop(id(turn))
            else:
                self._settlements.owe_turn(turn)
                live.turn = None
                live.close()

    def recall(self, live: LiveInstance) -> bool:
        """Take back the turn that the instance has out; answers whether that was possible."""
        turn = live.turn
        if turn is None or not self._executor.recall(turn):
            return False
        del self._out[id(turn)]
        return True

    def abandon(self, live: LiveInstance) -> None:
        """Nothing comes of the turn that the instance may have out."""
        if (turn := live.turn) is None:
            return
        if self.recall(live):
            live.turn = None
        elif self._out.pop(id(turn), None) is not None:
            self._abandoned[id(turn)] = live

    def recall_abandoned(self) -> None:
        """What no worker has any more, none need take again."""
        for key, live in list(self._abandoned.items()):
            if live.turn is not None and self._executor.recall(live.turn):
                del self._abandoned[key]
                live.turn = None
                live.close()
