"""The methods that clients whose calls block have in common, whatever runs their coroutines and whoever makes them."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.history import HistoryEvent
from durabletask.states import (
    WAIT_SECONDS,
    CleanEntityStorageResult,
    EntityQuery,
    IdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

if TYPE_CHECKING:
    from perdure.formats.protobuf.messages import OrchestrationIdReusePolicy

T = TypeVar("T")


class BlockingMethods:
    """Each runs the coroutine of the same name and arguments to its end; ``_calls`` and ``_run`` say whose and how."""

    @property
    def _calls(self) -> Any:
        """Has the coroutine methods. Tests compare the signatures."""
        raise NotImplementedError

    def _run(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        raise NotImplementedError

    def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: "IdReusePolicy | OrchestrationIdReusePolicy | None" = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, at ``start_at`` if given, and give its id once the start is stored."""
        return self._run(
            lambda: self._calls.schedule_new_orchestration(
                orchestrator,
                input=input,
                instance_id=instance_id,
                start_at=start_at,
                reuse_id_policy=reuse_id_policy,
                tags=tags,
                version=version,
            )
        )

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
        """One orchestration; None when there is none of that id."""
        return self._run(lambda: self._calls.get_orchestration_state(instance_id, fetch_payloads=fetch_payloads))

    def get_orchestration_history(
        self, instance_id: str, *, execution_id: str | None = None, for_work_item_processing: bool = False
    ) -> list[HistoryEvent]:
        """All events of an orchestration's execution, the current one by default."""
        return self._run(
            lambda: self._calls.get_orchestration_history(
                instance_id, execution_id=execution_id, for_work_item_processing=for_work_item_processing
            )
        )

    def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of orchestrations that have ended, a page at a time."""
        return self._run(
            lambda: self._calls.list_instance_ids(
                runtime_status, completed_time_from, completed_time_to, page_size, continuation_token
            )
        )

    def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Every orchestration that fits the query; asked for in pages of at most ``max_instance_count``."""
        return self._run(lambda: self._calls.get_all_orchestration_states(orchestration_query))

    def wait_for_orchestration_start(
        self, instance_id: str, *, fetch_payloads: bool = False, timeout: float | None = WAIT_SECONDS
    ) -> OrchestrationState | None:
        """Wait until the orchestration runs. None: no such instance. Raises TimeoutError; None waits for ever."""
        return self._run(
            lambda: self._calls.wait_for_orchestration_start(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def wait_for_orchestration_completion(
        self, instance_id: str, *, fetch_payloads: bool = True, timeout: float | None = WAIT_SECONDS
    ) -> OrchestrationState | None:
        """Wait until the orchestration has ended, however. None: no such instance. Raises TimeoutError."""
        return self._run(
            lambda: self._calls.wait_for_orchestration_completion(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Give an orchestration a named event."""
        return self._run(lambda: self._calls.raise_orchestration_event(instance_id, event_name, data=data))

    def terminate_orchestration(self, instance_id: str, *, output: Any | None = None, recursive: bool = True) -> None:
        """End an orchestration and its sub-orchestrations; ``output`` becomes its output."""
        return self._run(lambda: self._calls.terminate_orchestration(instance_id, output=output, recursive=recursive))

    def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        return self._run(lambda: self._calls.suspend_orchestration(instance_id, reason=reason))

    def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        return self._run(lambda: self._calls.resume_orchestration(instance_id, reason=reason))

    def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on from before its failure."""
        return self._run(lambda: self._calls.rewind_orchestration(instance_id, reason=reason))

    def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration again with its input, under its own id or a new one; gives that id."""
        return self._run(
            lambda: self._calls.restart_orchestration(
                instance_id, restart_with_new_instance_id=restart_with_new_instance_id
            )
        )

    def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeInstancesResult:
        """Remove an orchestration that has ended, with ``recursive`` its sub-orchestrations too."""
        return self._run(lambda: self._calls.purge_orchestration(instance_id, recursive))

    def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult:
        """Remove the orchestrations that have ended and fit, as many as ``timeout`` allows."""
        return self._run(
            lambda: self._calls.purge_orchestrations_by(
                created_time_from, created_time_to, runtime_status, recursive, timeout
            )
        )

    def get_entity(self, entity_instance_id: EntityInstanceId, include_state: bool = True) -> EntityMetadata | None:
        """One entity as it was committed last; None when there is none."""
        return self._run(lambda: self._calls.get_entity(entity_instance_id, include_state))

    def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Every entity that fits the query."""
        return self._run(lambda: self._calls.get_all_entities(entity_query))

    def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities without a state, and release locks whose holder has ended."""
        return self._run(lambda: self._calls.clean_entity_storage(remove_empty_entities, release_orphaned_locks))
