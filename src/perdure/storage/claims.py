"""Instance ids that this process is just creating: exactly one creation of an id is under way at a time."""

import asyncio


class Claims:
    """Ids held by creations that are not durable yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[bool]]] = {}

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._waiting

    def add(self, instance_id: str) -> None:
        """Claim an id; claiming one that is claimed changes nothing."""
        self._waiting.setdefault(instance_id, [])

    async def wait(self, instance_id: str) -> bool:
        """Wait until the creation under way is over; answers whether it came true."""
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[instance_id].append(over)
        return await over

    def release(self, instance_id: str, *, made: bool) -> None:
        """The creation is over."""
        for over in self._waiting.pop(instance_id, ()):
            if not over.done():
                over.set_result(made)

    def fail(self, error: BaseException) -> None:
        """Forget all claims; who waits gets the error."""
        for waiting in self._waiting.values():
            for over in waiting:
                if not over.done():
                    over.set_exception(error)
        self._waiting.clear()
