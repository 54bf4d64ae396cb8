"""A load balancer before the hosts: a client behind it does not know who answers."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from perdure.contracts.errors import Unavailable
from perdure.testing.simulation.hosts.host import Host

PATIENCE_SECONDS = 40.0


class Front:
    """Has the methods of ``TaskHubClient``; each call goes to a host by chance."""

    def __init__(self, hosts: Callable[[], Sequence[Host]], chance: random.Random) -> None:
        self._hosts = hosts
        self._chance = chance

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def ask(*arguments: Any, **options: Any) -> Any:
            if not (hosts := self._hosts()):
                raise Unavailable("No host is there.")
            return await asked_of(self._chance.choice(hosts), name, *arguments, **options)

        return ask


async def asked_of(host: Host, name: str, *arguments: Any, **options: Any) -> Any:
    """What a host's client answers. Unavailable: the host is gone or takes too long; it may be done all the same."""
    asking = host.process.run(lambda: getattr(host.client, name)(*arguments, **options))
    asking.add_done_callback(_hear)
    await asyncio.wait([asking], timeout=PATIENCE_SECONDS)
    if not asking.done():
        raise Unavailable("The host does not answer.")
    if asking.cancelled() or host.view.is_dead:
        raise Unavailable("The connection was cut.")
    return asking.result()


def _hear(asked: "asyncio.Task[Any]") -> None:
    if not asked.cancelled():
        asked.exception()
