"""Statuses asked for in one turn of the loop are read together."""

import asyncio

from perdure.core.status import RuntimeStatus
from perdure.storage.shared.tables import SharedTables


class StatusReads:
    """One query for all who ask at once."""

    def __init__(self, tables: SharedTables) -> None:
        self._tables = tables
        self._asked: dict[str, list[asyncio.Future[RuntimeStatus | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def status_of(self, instance_id: str) -> RuntimeStatus | None:
        """None when there is no such instance. Raises Unavailable."""
        answer: asyncio.Future[RuntimeStatus | None] = asyncio.get_running_loop().create_future()
        if not self._asked:
            task = asyncio.create_task(self._read())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._asked.setdefault(instance_id, []).append(answer)
        return await answer

    async def _read(self) -> None:
        asked, self._asked = self._asked, {}
        waiting = [answer for answers in asked.values() for answer in answers]
        try:
            found = await self._tables.statuses_of(asked.keys())
        except BaseException as error:
            for answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for instance_id, answers in asked.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found.get(instance_id))
