"""Life-cycle events of orchestrations, posted to a web hook (host.json ``notifications.eventGrid``).

Told after the commit; an event that cannot be delivered is tried again as the settings say, then logged and dropped:
the orchestration never waits for it. Without an answer it is always tried again, after an answer only when its status
is one of those to retry.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perdure.contracts.observer import EpisodeCommitted, Fact
from perdure.core.events import ExecutionCompleted, ExecutionStarted, OrchestratorStarted
from perdure.core.instance import InstanceKind, Origin
from perdure.core.status import RuntimeStatus
from perdure.formats.http_json import encode
from perdure.functions.app_settings import AppSettings
from perdure.functions.host_settings import NotificationSettings
from perdure.host.options import StartFailed

if TYPE_CHECKING:
    import httpx

KEY_HEADER = "aeg-sas-key"
QUEUED_MAX = 10_000
REQUEST_SECONDS_MAX = 30.0
CLOSE_SECONDS_MAX = 5.0
_KINDS = {
    RuntimeStatus.Completed: "Completed", RuntimeStatus.Failed: "Failed", RuntimeStatus.Terminated: "Terminated",
}  # fmt: skip
_NUMBERS = {"Started": 0, "Completed": 1, "Failed": 2, "Terminated": 3}

logger = logging.getLogger("perdure.host")


class LifeCyclePublisher:
    """An observer that posts events one after another, in the order in which they were committed."""

    wants: frozenset[type] = frozenset({EpisodeCommitted})

    def __init__(self, settings: NotificationSettings, app: AppSettings, hub_name: str) -> None:
        """Raises StartFailed when a setting that host.json names is not there."""
        assert settings.topic_endpoint is not None, "built only with an endpoint"
        self._settings = settings
        self._hub_name = hub_name
        self._url = app.resolve(settings.topic_endpoint)
        self._headers = _key_headers(settings, app)
        self._kinds = frozenset(settings.event_types or _NUMBERS)
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUED_MAX)
        self._task: asyncio.Task[None] | None = None

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``."""
        if not isinstance(fact, EpisodeCommitted) or fact.checkpoint.origin.kind is not InstanceKind.ORCHESTRATION:
            return
        origin, at = fact.checkpoint.origin, fact.checkpoint.progress.updated_at
        for event in fact.checkpoint.events:
            if isinstance(event, OrchestratorStarted):
                at = event.at
            elif isinstance(event, ExecutionStarted) and event.generation == 0:
                self._tell("Started", RuntimeStatus.Running, origin, at, "")
            elif isinstance(event, ExecutionCompleted) and event.status in _KINDS:
                reason = event.result or "" if event.status is RuntimeStatus.Terminated else ""
                if event.failure is not None:
                    reason = event.failure.message
                self._tell(_KINDS[event.status], event.status, origin, at, reason)

    def _tell(self, kind: str, status: RuntimeStatus, origin: Origin, at: datetime, reason: str) -> None:
        if kind not in self._kinds:
            return
        event = {
            "id": str(uuid.uuid4()), "eventType": "orchestratorEvent", "subject": f"durable/orchestrator/{status.name}",
            "eventTime": at.isoformat(), "dataVersion": "1.0",
            "data": {
                "HubName": self._hub_name, "FunctionName": origin.name, "InstanceId": origin.instance_id,
                "Reason": reason, "EventType": _NUMBERS[kind],
            },
        }  # fmt: skip
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            logger.error("Event '%s' of instance '%s' is dropped: %d wait.", kind, origin.instance_id, QUEUED_MAX)
            return
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._publish())

    async def close(self) -> None:
        """Send what waits, and do not wait long for a hook that is not there. Twice-safe."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), CLOSE_SECONDS_MAX)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _publish(self) -> None:
        import httpx

        async with httpx.AsyncClient(timeout=REQUEST_SECONDS_MAX) as http:
            while True:
                event = await self._waiting.get()
                await self._send(http, event)
                self._waiting.task_done()

    async def _send(self, http: "httpx.AsyncClient", event: dict[str, Any]) -> None:
        import httpx

        said = ""
        for attempt in range(self._settings.publish_retry_count + 1):
            if attempt:
                await asyncio.sleep(self._settings.publish_retry_interval.total_seconds())
            try:
                headers = {**self._headers, "content-type": "application/json"}
                answer = await http.post(self._url, content=encode([event]), headers=headers)
            except httpx.HTTPError as error:
                said = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success:
                return
            said = f"HTTP {answer.status_code}"
            if (retried := self._settings.publish_retry_statuses) is not None and answer.status_code not in retried:
                break
        logger.error("The event of instance '%s' was not published: %s", event["data"]["InstanceId"], said)


def _key_headers(settings: NotificationSettings, app: AppSettings) -> Mapping[str, str]:
    if settings.key_setting_name is None:
        return {}
    key = app.get(settings.key_setting_name)
    if not key:
        raise StartFailed(
            f"host.json says that the setting '{settings.key_setting_name}' holds the key of the event topic, "
            "but there is no such setting.",
            1,
        )
    return {KEY_HEADER: key}
