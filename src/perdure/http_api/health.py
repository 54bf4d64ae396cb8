"""GET /health: is the process alive, is it ready, which hub is this."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from perdure.http_api.answers import Answer, json_answer, send_answer

AGAIN_SECONDS = "1"


@dataclass(frozen=True, slots=True)
class HubFacts:
    """What anybody may know: no path, no connection string.

    ``not_ready`` says why requests are not taken now, None when they are.
    """

    task_hub: str
    store: str
    durability: str
    version: str
    not_ready: str | None = None


def health_routes(facts: Callable[[], HubFacts]) -> list[BaseRoute]:
    """The route; 200 when ready, 503 with the reason when not."""
    return [Route("/health", _Health(facts), methods=["GET"], include_in_schema=False)]


def health_answer(body: Any, *, is_ready: bool) -> Answer:
    """200, or 503 with the time after which asking again is worth while."""
    return json_answer(200, body) if is_ready else json_answer(503, body, (("retry-after", AGAIN_SECONDS),))


class _Health:
    def __init__(self, facts: Callable[[], HubFacts]) -> None:
        self._facts = facts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts = self._facts()
        body = {
            "status": "ready" if facts.not_ready is None else "notReady",
            "live": True,
            "ready": facts.not_ready is None,
            "reason": facts.not_ready,
            "taskHub": facts.task_hub,
            "store": facts.store,
            "durability": facts.durability,
            "version": facts.version,
        }
        await send_answer(health_answer(body, is_ready=facts.not_ready is None), send)
