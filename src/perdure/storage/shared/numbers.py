"""Numbers that no other process gives: whole blocks, fetched before they are needed, so that nobody waits for one."""

from perdure.storage.changes import Numbers


class ReservedNumbers(Numbers):
    """Gives the numbers of one block after the other. The store keeps what was reserved, so nothing is to be saved."""

    def __init__(self) -> None:
        super().__init__(0)
        self._end = 0
        self._next_block: range | None = None

    @property
    def is_short(self) -> bool:
        """Whether the next block should be fetched: half of the present one is given, and no other is there."""
        return self._next_block is None and self._end - self._next <= self._half

    @property
    def is_empty(self) -> bool:
        """Whether no number can be given at all."""
        return self._next == self._end and self._next_block is None

    def add(self, block: range) -> None:
        """A block this process has got."""
        if self._next == self._end:
            self._begin(block)
        else:
            self._next_block = block

    def take(self) -> int:
        number = self._next
        if number == self._end:
            assert self._next_block is not None, "the next block is fetched when half of one is given"
            self._begin(self._next_block)
            self._next_block = None
            number = self._next
        self._next = number + 1
        return number

    def reservation(self) -> None:
        return None

    def _begin(self, block: range) -> None:
        self._next, self._end = block.start, block.stop
        self._half = len(block) // 2

    _half = 0
