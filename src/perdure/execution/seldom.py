"""Log lines of which one a minute is enough."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable

AGAIN_AFTER_SECONDS = 60.0
SUBJECTS_REMEMBERED = 1_000


class Seldom:
    """Remembers what was said of whom, on the running loop's clock."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, float] = OrderedDict()

    def may_say(self, subject: Hashable) -> bool:
        """Whether nothing was said of the subject for a while; if so, it is said now."""
        now = asyncio.get_running_loop().time()
        last = self._said.get(subject)
        if last is not None and now - last < AGAIN_AFTER_SECONDS:
            return False
        self._said[subject] = now
        self._said.move_to_end(subject)
        if len(self._said) > SUBJECTS_REMEMBERED:
            self._said.popitem(last=False)
        return True
