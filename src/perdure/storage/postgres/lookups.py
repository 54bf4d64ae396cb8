"""Single rows that many ask for at once are read together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from perdure.storage.postgres.lines import Rows

UNDER_WAY_MAX = 2
"""So many statements at once: what is asked for while they are under way is the next one."""
IDS_MAX = 500


class Lookups:
    """Rows by id. ``ask`` reads those of some ids, whose second column is the id."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[Rows]]) -> None:
        self._ask = ask
        self._asked: dict[str, list[asyncio.Future[Any]]] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def row_of(self, instance_id: str) -> Any:
        """As of now or later; None when there is none. Raises what ``ask`` raises."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        is_first = not self._asked
        self._asked.setdefault(instance_id, []).append(answer)
        if is_first and len(self._reading) < UNDER_WAY_MAX:
            reading = asyncio.create_task(self._read())
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)
        return await answer

    async def _read(self) -> None:
        while self._asked:
            taken = {instance_id: self._asked.pop(instance_id) for instance_id in list(islice(self._asked, IDS_MAX))}
            try:
                found = {row[1]: row for row in await self._ask(list(taken))}
            except BaseException as error:
                for answers in taken.values():
                    for answer in answers:
                        if not answer.done():
                            answer.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for instance_id, answers in taken.items():
                row = found.get(instance_id)
                for answer in answers:
                    if not answer.done():
                        answer.set_result(row)
